// spread NETWORK HOST PORT N connects N times to HOST as an ordinary C program does, and
// prints for each connection the name of the server that answered. NETWORK is tcp4, tcp6, udp4
// or udp6. Before each connection it asks the C library for the addresses of HOST, which
// sorts them (RFC 6724), and takes the first. The tests build it with glibc and with musl.
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char question[] = "who\n";

static int fail(const char *what, const char *why) {
	fprintf(stderr, "spread: %s: %s\n", what, why);
	return 1;
}

// ask connects to the address and prints the first word of the answer, without the colon.
static int ask(const struct addrinfo *to) {
	const struct timeval limit = {.tv_sec = 3};
	char answer[256];
	int fd = socket(to->ai_family, to->ai_socktype, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) < 0)
		return fail("socket", "not available");
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
		return fail("connect", "refused or timed out");
	if (write(fd, question, sizeof question - 1) < 0)
		return fail("write", "refused");
	ssize_t n = read(fd, answer, sizeof answer - 1);
	close(fd);
	if (n <= 0)
		return fail("read", "no answer");
	answer[n] = 0;
	printf("%s\n", strtok(answer, ": \n"));
	return 0;
}

int main(int argc, char **argv) {
	if (argc != 5)
		return fail("usage", "spread NETWORK HOST PORT N");
	const struct addrinfo hints = {
		.ai_family = strchr(argv[1], '6') ? AF_INET6 : AF_INET,
		.ai_socktype = argv[1][0] == 'u' ? SOCK_DGRAM : SOCK_STREAM,
	};
	for (int left = atoi(argv[4]); left > 0; left--) {
		struct addrinfo *found;
		int code = getaddrinfo(argv[2], argv[3], &hints, &found);
		if (code != 0)
			return fail(argv[2], gai_strerror(code));
		code = ask(found);
		freeaddrinfo(found);
		if (code != 0)
			return code;
	}
	return 0;
}
