/** The lab's network: the server's address, and the network it lies in, which nothing routes. */
export const serverAddress = '10.77.0.1';
export const serverNetwork = '10.77.0.0/24';

/** The lab's bridge. */
export const bridge = 'lab0';

/** The steps of making a lab, as the holder names the one that failed. */
export type LabStep = 'namespace' | 'loopback' | 'bridge' | 'address' | 'tap' | 'up';

/**
 * What the holder runs inside its new namespace: it sets the network up, says `ready` or `failed STEP MESSAGE` on one
 * line, waits until its standard input ends, and then kills every process that still is in the namespace.
 * A tap is made and removed again, because making taps needs a right of its own.
 */
export const holderScript = `
try() {
  step=$1
  shift
  if ! said=$("$@" 2>&1); then
    echo "failed $step $(echo "$said" | tr '\\n' ' ')"
    exit 1
  fi
}
for scope in all default; do
  (echo 1 >/proc/sys/net/ipv6/conf/$scope/disable_ipv6) 2>/dev/null
done
try loopback ip link set dev lo up
try bridge ip link add dev ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0
try address ip address add ${serverAddress}/${serverNetwork.split('/')[1] ?? ''} dev ${bridge}
try up ip link set dev ${bridge} up
try tap ip tuntap add dev probe mode tap
try tap ip link delete dev probe
echo ready
cat >/dev/null
own=$(readlink /proc/$$/ns/net)
for round in 1 2 3 4 5; do
  left=
  for process in /proc/[0-9]*; do
    pid=\${process#/proc/}
    if [ "$pid" != $$ ] && [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$own" ]; then
      kill -9 "$pid" 2>/dev/null && left=1
    fi
  done
  [ -n "$left" ] || exit 0
  sleep 0.1
done
`;

/** What to do about a step that failed. */
export function mendFor(step: LabStep): string {
  switch (step) {
    case 'namespace':
      return 'run as root, or allow user namespaces (sysctl user.max_user_namespaces=10000); in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN.';
    case 'tap':
      return 'make /dev/net/tun openable for this user (modprobe tun; chmod 666 /dev/net/tun), or run as root; in a container, hand the device in.';
    case 'bridge':
      return 'load the kernel module of bridges (modprobe bridge), and install iproute2.';
    case 'loopback':
    case 'address':
    case 'up':
      return 'install iproute2, and run as root.';
  }
}
