// A switch by a table of jumps, which holds distances from the start of the section that has the code.
#include "bpf.h"

struct packet { unsigned int len, port; };

SEC("tc") int before(struct packet *packet)
{
	return packet->len;
}

SEC("tc") int jumps(struct packet *packet)
{
	switch (packet->len) {
	case 0: return 11;
	case 1: return packet->port * 3;
	case 2: return packet->port + 7;
	case 3: return packet->port ^ 5;
	}
	return 0;
}
