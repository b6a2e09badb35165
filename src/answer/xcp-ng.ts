import type { AttributeRule, ElementRule, Mode } from './rule.js';
import {
  anyText,
  disk,
  flag,
  host,
  hostname,
  interfaceName,
  ipAddress,
  ipv4,
  ipv6,
  ipv6Prefix,
  keymap,
  mac,
  netmask,
  oneOf,
  oneOfCaseless,
  timezone,
  unitName,
  vlan,
  type ValueRule,
} from './value.js';

const INSTALL: readonly Mode[] = ['fresh', 'reinstall'];
const INSTALL_OR_UPGRADE: readonly Mode[] = ['fresh', 'reinstall', 'upgrade'];

const checks: Readonly<Record<string, AttributeRule>> = {
  'repo-gpgcheck': { value: flag, release: 'xcp-ng-8' },
  gpgcheck: { value: flag, release: 'xcp-ng-8' },
};

const srType: AttributeRule = { value: oneOf('ext', 'lvm', 'largeblock') };

/** The attributes of the root element. */
export const rootAttributes: Readonly<Record<string, AttributeRule>> = {
  mode: { value: oneOf('fresh', 'reinstall', 'upgrade') },
  'sr-type': srType,
  srtype: srType,
  ...checks,
};

const media: AttributeRule = { value: oneOf('url', 'nfs', 'local'), required: true };

/** The text of confirmation is true whatever it says, so it may say nothing else. */
const onlyTrue: ValueRule = {
  wants: 'true (any text counts as true; for false leave the element out)',
  accepts: (value) => /^(?:true|yes)$/i.test(value),
};

/** When a script may run. */
export const stages = ['installation-start', 'filesystem-populated', 'installation-complete'] as const;

/** A moment more, which only XenServer's installer knows. */
export const LATE_STAGE = 'packages-installed';

const scriptType: AttributeRule = { value: oneOf('url', 'nfs'), required: true };

const guestDisk: ElementRule = { times: 'any', modes: INSTALL, text: disk };

const adminInterface: ElementRule = {
  times: 'once',
  modes: INSTALL,
  attributes: {
    name: { value: interfaceName },
    hwaddr: { value: mac },
    proto: { value: oneOf('static', 'dhcp', 'none'), required: true },
    protov6: { value: oneOf('static', 'dhcp', 'autoconf', 'none') },
    vlan: { value: vlan },
  },
  children: {
    ip: { times: 'optional', text: ipv4 },
    ipaddr: { times: 'optional', text: ipv4, aliasOf: 'ip' },
    'subnet-mask': { times: 'optional', text: netmask },
    subnet: { times: 'optional', text: netmask, aliasOf: 'subnet-mask' },
    gateway: { times: 'optional', text: ipv4 },
    ipv6: { times: 'optional', text: ipv6Prefix },
    gatewayv6: { times: 'optional', text: ipv6 },
  },
};

/**
 * The elements below `<installation>`, `<upgrade>` and `<restore>`, as the answer file readers of XCP-ng's
 * host-installer (8.3, September 2024) and XenServer's (June 2026) take them.
 */
export const elements: Readonly<Record<string, ElementRule>> = {
  source: {
    times: 'some',
    modes: INSTALL_OR_UPGRADE,
    attributes: { type: media, ...checks },
    text: 'free',
  },
  'driver-source': { times: 'any', attributes: { type: media }, text: 'free' },
  'selected-multiversion-drivers': {
    times: 'optional',
    release: 'xenserver-2026',
    children: {
      driver: { times: 'some', attributes: { name: { value: anyText, required: true } }, text: anyText },
    },
  },
  'fcoe-interface': {
    times: 'any',
    release: 'xcp-ng-8',
    attributes: { name: { value: interfaceName }, hwaddr: { value: mac } },
  },
  script: {
    times: 'any',
    attributes: {
      stage: {
        value: oneOfCaseless(...stages, LATE_STAGE),
        required: true,
      },
      type: scriptType,
    },
    text: 'free',
  },
  'post-install-script': { times: 'optional', attributes: { type: scriptType }, text: 'free' },
  'install-failed-script': { times: 'optional', attributes: { type: scriptType }, text: 'free' },
  'ui-confirmation-prompt': { times: 'optional', text: onlyTrue },
  bootloader: {
    times: 'optional',
    modes: INSTALL_OR_UPGRADE,
    attributes: { location: { value: oneOf('mbr', 'partition') }, 'write-boot-entry': { value: flag } },
    text: { wants: 'empty or grub2', accepts: (value) => value === '' || value === 'grub2' },
  },
  'network-backend': {
    times: 'optional',
    modes: INSTALL_OR_UPGRADE,
    release: 'xcp-ng-8',
    text: oneOf('bridge', 'openvswitch', 'vswitch'),
  },
  'primary-disk': {
    times: 'once',
    modes: INSTALL,
    attributes: {
      'guest-storage': { value: flag },
      gueststorage: { value: flag },
      'sr-at-end': { value: flag },
      'preserve-first-partition': { value: oneOf('true', 'yes', 'false', 'no', 'if-utility') },
      swraid: { value: flag, release: 'xenserver-2026' },
      'fs-type': { value: oneOf('ext4', 'ext3'), release: 'xenserver-2026' },
    },
    text: 'free',
  },
  raid: {
    times: 'any',
    modes: INSTALL,
    release: 'xcp-ng-8',
    attributes: { device: { value: disk, required: true } },
    children: { disk: { times: 'some', text: disk } },
  },
  'guest-disks': { times: 'optional', modes: INSTALL, children: { 'guest-disk': guestDisk } },
  'guest-disk': guestDisk,
  'admin-interface': adminInterface,
  'root-password': {
    times: 'optional',
    modes: INSTALL,
    attributes: { type: { value: oneOf('plaintext', 'hash') } },
    text: anyText,
  },
  'name-server': { times: 'any', modes: INSTALL, text: ipAddress },
  nameserver: { times: 'any', modes: INSTALL, text: ipAddress, aliasOf: 'name-server' },
  hostname: { times: 'optional', modes: INSTALL, text: hostname },
  timezone: { times: 'optional', modes: INSTALL, text: timezone },
  ntp: {
    times: 'optional',
    modes: INSTALL,
    attributes: { source: { value: oneOf('dhcp', 'default', 'manual', 'none'), required: true } },
  },
  'ntp-server': { times: 'any', modes: INSTALL, text: host },
  'ntp-servers': { times: 'any', modes: INSTALL, text: host, aliasOf: 'ntp-server' },
  keymap: { times: 'optional', modes: INSTALL, text: keymap },
  service: {
    times: 'any',
    modes: INSTALL,
    attributes: {
      name: { value: unitName, required: true },
      state: { value: oneOf('enabled', 'disabled'), required: true },
    },
  },
  'ssh-mode': {
    times: 'optional',
    modes: INSTALL,
    release: 'xenserver-2026',
    text: oneOf('on', 'off', 'auto'),
  },
  'existing-installation': {
    times: 'once',
    modes: ['upgrade'],
    attributes: { 'fs-type': { value: oneOf('ext4', 'ext3'), release: 'xenserver-2026' } },
    text: disk,
  },
  'backup-disk': { times: 'optional', modes: ['restore'], text: disk },
};
