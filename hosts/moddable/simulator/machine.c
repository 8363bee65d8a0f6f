/* What Moddable's simulator needs from the desktop system and JavaScript cannot reach. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

/* Fills the buffer from the system generator. Returns 0, or -1 when it has refused; at most 256 bytes. */
int32_t skerry_random(uint8_t *buffer, uint32_t length);
/* Milliseconds of the monotonic clock. */
double skerry_ticks(void);
/* A write to a closed connection is to fail, not to end the process; files and folders are their owner's only. */
void skerry_prepare(void);
/* Ends the process; whoever has started it may start it again. */
void skerry_exit(int32_t status);
/* Whether a bootloader has started the process, and says so in its environment. */
int32_t skerry_is_booted(void);

int32_t skerry_random(uint8_t *buffer, uint32_t length)
{
	return getentropy(buffer, length);
}

double skerry_ticks(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1000.0 + (double)(now.tv_nsec / 1000000);
}

void skerry_prepare(void)
{
	signal(SIGPIPE, SIG_IGN);
	umask(077);
}

void skerry_exit(int32_t status)
{
	_exit(status);
}

int32_t skerry_is_booted(void)
{
	return getenv("SKERRY_BOOTED") != NULL;
}
