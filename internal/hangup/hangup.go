// Package hangup lets "highwater serve" outlive SIGHUP from the process's first moment. Go's own handlers come only after
// the initialization of all packages, and a SIGHUP before that moment would end the signer.
package hangup

// A C constructor runs before Go's runtime, and the runtime respects a SIGHUP that it finds ignored, until the handler of
// serve takes over. Programs that the signer starts later get SIGHUP as usual. /proc/self/cmdline instead of argv: not
// each libc gives arguments to constructors.

/*
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

__attribute__((constructor)) static void ignoreHangup(void) {
	char words[4096];
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, words, sizeof words - 1);
	close(fd);
	if (n <= 0)
		return;
	words[n] = 0;
	for (char *w = words + strlen(words) + 1; w < words + n; w += strlen(w) + 1)
		if (strcmp(w, "serve") == 0) {
			signal(SIGHUP, SIG_IGN);
			return;
		}
}
*/
import "C"
