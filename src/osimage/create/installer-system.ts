/**
 * What create-installimg takes out of the root file system of an installer, and what it starts there. An installer runs once,
 * from memory: what only a running system needs takes room in every node.
 */

/** Packages that others pull in and that the installer does without. gpg-pubkey: keys that were imported to check packages. */
export const ERASED_PACKAGES: readonly string[] = [
  'binutils',
  'dracut',
  'gpg-pubkey',
  'pkgconfig',
  'xen-hypervisor',
];

/** Files and directories that are left out, where they are there. */
export const LEFT_OUT: readonly string[] = [
  ...[
    '/usr/bin/systemd-analyze',
    '/usr/bin/journalctl',
    '/usr/bin/loginctl',
    '/usr/bin/ssh-agent',
    '/usr/bin/info',
  ],
  ...['/usr/bin/systemd-cgls', '/usr/bin/systemd-nspawn', '/usr/bin/ssh-keyscan', '/usr/bin/gpgsm'],
  ...['/usr/sbin/ldconfig', '/usr/sbin/oxenstored', '/usr/libexec/xen/boot'],
  ...['/usr/share/locale', '/usr/share/bash-completion', '/usr/share/cracklib', '/usr/lib/udev/hwdb.d'],
  ...['/var/lib/yum/yumdb', '/var/lib/yum/history', '/var/cache/yum'],
];

/** What is in the image by the chance of when and where it was made. Why: docs/create.md. */
export const CHANCE: readonly string[] = [
  ...[
    '/var/lib/dnf',
    '/var/cache/dnf',
    '/var/log/dnf.log',
    '/var/log/dnf.rpm.log',
    '/var/log/dnf.librepo.log',
  ],
  ...['/var/log/hawkey.log', '/var/log/yum.log', '/var/cache/ldconfig/aux-cache'],
  ...['/var/lib/systemd/random-seed', '/var/lib/dbus/machine-id', '/var/lib/systemd/credential.secret'],
  ...[
    '/etc/passwd-',
    '/etc/shadow-',
    '/etc/group-',
    '/etc/gshadow-',
    '/etc/subuid-',
    '/etc/subgid-',
    '/etc/.pwd.lock',
  ],
  '/etc/pki/ca-trust/extracted/java/cacerts',
];

/** As CHANCE, by their names. */
export const CHANCE_NAMES: readonly RegExp[] = [
  /^usr\/.*\.py[co]$/, // they hold the time of their source
  /^etc\/ssh\/ssh_host_.*key(\.pub)?$/, // secrets that every node would share
];

/** Services that the installer starts. */
export const ENABLED = 'installer.service';

/** The console that a person logs in at, where the image has the first of them, else the second. */
export const CONSOLES = ['installer-getty@tty2.service', 'getty@tty2.service'] as const;

/** Services that packages enable and that an installer must not start. */
export const DISABLED: readonly string[] = [
  ...['getty@tty1.service', 'fcoe.service', 'lldpad.service', 'xen-init-dom0.service', 'xenconsoled.service'],
  ...['xenstored.service', 'chronyd.service', 'chrony-wait.service'],
];
