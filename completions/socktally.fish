# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Completion for fish. It asks the command itself, by --help and by what an option answers to a wrong value:
# so it has what that command has.

function __socktally_command
    set -l words (commandline -opc)
    test (count $words) -gt 1; and echo $words[2]
end

function __socktally_options
    socktally (__socktally_command) --help 2>/dev/null |
        sed -nE 's/^ {2,6}(-[[:alnum:]], )?(--[a-z-]+) *(.*)/\2\t\3/; T; s/ +/ /g; p'
end

function __socktally_values
    socktally (__socktally_command) "$argv[1]=?" 2>&1 | sed -nE 's/.*must be (.*) \(see .*/\1/p' |
        tr -s ', ' '\n\n' | grep -vxE 'and|or|with|a|comma|between'
end

function __socktally_after
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

complete -c socktally -n 'not __socktally_command' -f -a "(socktally --help 2>/dev/null | sed -nE 's/^  socktally ([a-z]+) .* {2,}(.*)/\1\t\2/p')"
complete -c socktally -n '__socktally_command; and string match -q -- "-*" (commandline -ct)' -f -a '(__socktally_options)'
for option in --format --sort --color --units
    complete -c socktally -n "__socktally_after $option" -f -a "(__socktally_values $option)"
end
complete -c socktally -n '__socktally_after -i --interface' -f -a '(command ls /sys/class/net) any'
complete -c socktally -n 'contains -- (__socktally_command) attach detach' -f -a '(cat /proc/[0-9]*/comm 2>/dev/null)'
complete -c socktally -n 'test "$(__socktally_command)" = run; and contains -- -- (commandline -opc)' -a '(__fish_complete_subcommand --fcs-skip=(count (commandline -opc)))'
