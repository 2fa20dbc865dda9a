# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Completion for bash. It asks the command itself, by --help and by what an option answers to a wrong value:
# so it has what that command has.

_socktally_values()
{
	"$1" "$2" "$3=?" 2>&1 | sed -nE 's/.*must be (.*) \(see .*/\1/p' | tr -s ', ' '\n\n' |
		grep -vxE 'and|or|with|a|comma|between'
}

_socktally()
{
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words= i
	local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]}

	COMPREPLY=()
	for ((i = 2; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- && $command == run ]]; then
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			else
				mapfile -t COMPREPLY < <(compgen -c -- "$current")
			fi
			return
		fi
	done
	# bash divides --format=json at the =
	if [[ $current == '=' ]]; then
		current=
	elif [[ $previous == '=' ]]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	if ((COMP_CWORD == 1)); then
		words=$("$program" --help 2>/dev/null | sed -nE 's/^  socktally ([a-z]+) .*/\1/p')
	else
		case $previous in
		--format | --sort | --color | --units) words=$(_socktally_values "$program" "$command" "$previous") ;;
		-i | --interface) words="any $(cd /sys/class/net 2>/dev/null && echo *)" ;;
		*)
			case $current in
			-*) words=$("$program" "$command" --help 2>/dev/null |
				sed -nE 's/^ {2,6}(-[[:alnum:]], )?(--[a-z-]+).*/\2/p') ;;
			*)
				if [[ $command == attach || $command == detach ]]; then
					words=$(cat /proc/[0-9]*/comm 2>/dev/null)
				else
					compopt -o filenames 2>/dev/null
					mapfile -t COMPREPLY < <(compgen -f -- "$current")
					return
				fi
				;;
			esac
			;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current" | sort -u)
} && complete -F _socktally socktally
