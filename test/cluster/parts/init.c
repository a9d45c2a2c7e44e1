/* The first process of a machine, and of every pod: it waits, and buries the children that others leave to it. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void bury(int signal) {
  (void)signal;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

static void leave(int signal) {
  (void)signal;
  _exit(0);
}

int main(void) {
  struct sigaction action = {.sa_handler = bury, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGCHLD, &action, 0);
  action.sa_handler = leave;
  sigaction(SIGTERM, &action, 0);
  sigaction(SIGINT, &action, 0);
  bury(0);
  for (;;) pause();
}
