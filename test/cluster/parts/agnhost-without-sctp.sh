#!/bin/bash
# Stands at /agnhost in the images of suites whose pods serve SCTP too. Where the kernel has no SCTP sockets such a server ends
# at once and its pod never gets ready; here it idles instead. Everything else is the real program.
serves_sctp=$(compgen -v SERVE_SCTP_PORT_)
if [[ $1 == porter && -n $serves_sctp && ! -e /proc/net/sctp ]]; then
  exec /agnhost-itself pause
fi
exec /agnhost-itself "${@:-pause}" # as the published image does without arguments
