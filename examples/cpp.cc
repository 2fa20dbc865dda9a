// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * From C++: a meter that closes itself, and a snapshot as a container.
 *
 *	c++ -std=c++17 cpp.cc $(pkg-config --cflags --libs socktally) -o cpp
 *	sudo ./cpp eth0 10
 */
#include <arpa/inet.h>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <socktally/socktally.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

class Meter {
public:
	using Cells = std::map<std::string, socktally_counts>;

	Meter()
	{
		socktally *opened;

		if (socktally_open(&opened, nullptr) != 0)
			throw std::runtime_error(socktally_error(nullptr));
		meter.reset(opened);
	}

	void attach(int fd)
	{
		if (socktally_attach(meter.get(), fd, nullptr) != 0)
			throw std::runtime_error(socktally_error(meter.get()));
	}

	/* By path, both directions together. No exception may pass through the library's frames. */
	Cells snapshot() const
	{
		Cells cells;
		auto add = [](void *ctx, const socktally_cell *cell) noexcept {
			socktally_counts &sum = (*static_cast<Cells *>(ctx))[cell->path];

			sum.packets += cell->counts.packets;
			sum.bytes += cell->counts.bytes;
			return 0;
		};

		socktally_snapshot(meter.get(), add, &cells, nullptr);
		return cells;
	}

private:
	struct Close {
		void operator()(socktally *closing) const { socktally_close(closing); }
	};
	std::unique_ptr<socktally, Close> meter;
};

class PacketSocket {
public:
	PacketSocket() : fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0))
	{
		if (fd < 0)
			throw std::runtime_error("no packet socket: root or CAP_NET_RAW is needed");
	}
	PacketSocket(const PacketSocket &) = delete;
	PacketSocket &operator=(const PacketSocket &) = delete;
	~PacketSocket() { close(fd); }

	void bind_to(const std::string &interface) const
	{
		sockaddr_ll address{};

		address.sll_family = AF_PACKET;
		address.sll_protocol = htons(ETH_P_ALL);
		address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
		if (address.sll_ifindex == 0 ||
		    bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0)
			throw std::runtime_error(interface + ": can't listen there");
	}

	const int fd;
};

int main(int argc, char **argv)
{
	if (argc != 3) {
		std::cerr << "usage: cpp INTERFACE SECONDS\n";
		return 2;
	}
	try {
		PacketSocket socket;
		Meter meter;

		meter.attach(socket.fd);
		socket.bind_to(argv[1]);
		std::cerr << "cpp: listening on " << argv[1] << std::endl;
		std::this_thread::sleep_for(std::chrono::seconds(std::atoi(argv[2])));
		for (const auto &[path, counts] : meter.snapshot())
			std::cout << path << ": " << counts.packets << " packets, " << counts.bytes
				  << " bytes\n";
	} catch (const std::exception &error) {
		std::cerr << "cpp: " << error.what() << '\n';
		return 1;
	}
	return 0;
}
