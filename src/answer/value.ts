import { isIP, isIPv4, isIPv6 } from 'node:net';

/** What a text may be. `wants` completes the sentence “… is not …”. */
export interface ValueRule {
  readonly wants: string;
  accepts(value: string): boolean;
}

/** One of `words`, written so. */
export function oneOf(...words: readonly string[]): ValueRule {
  return { wants: `one of ${words.join(', ')}`, accepts: (value) => words.includes(value) };
}

/** One of `words`, in capitals or not. */
export function oneOfCaseless(...words: readonly string[]): ValueRule {
  return {
    wants: `one of ${words.join(', ')}`,
    accepts: (value) => words.includes(value.toLowerCase()),
  };
}

/** Installers take any text but yes and true for no, so that `on` and `1` switch off; only what says what it does passes. */
export const flag = oneOfCaseless('yes', 'no', 'true', 'false');

export const anyText: ValueRule = { wants: 'some text', accepts: (value) => value !== '' };

export const vlan: ValueRule = {
  wants: 'a number from 1 to 4094',
  accepts: (value) => /^[0-9]{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= 4094,
};

export const mac: ValueRule = {
  wants: 'a MAC address as 52:54:00:12:34:56',
  accepts: (value) => /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(value),
};

export const ipv4: ValueRule = { wants: 'an IPv4 address', accepts: isIPv4 };

export const ipAddress: ValueRule = { wants: 'an IP address', accepts: (value) => isIP(value) !== 0 };

export const ipv6: ValueRule = { wants: 'an IPv6 address', accepts: isIPv6 };

export const ipv6Prefix: ValueRule = {
  wants: 'an IPv6 address and its prefix length as 2001:db8::10/64',
  accepts(value) {
    const [, address = '', length = ''] = /^(.+)\/([0-9]{1,3})$/.exec(value) ?? [];
    return isIPv6(address) && Number(length) <= 128;
  },
};

export const netmask: ValueRule = {
  wants: 'a netmask as 255.255.255.0',
  accepts(value) {
    if (!isIPv4(value)) return false;
    const bits = value
      .split('.')
      .map((byte) => Number(byte).toString(2).padStart(8, '0'))
      .join('');
    return /^1+0*$/.test(bits);
  },
};

/** RFC 1123 §2.1. */
export const hostname: ValueRule = {
  wants: 'a host name of letters, digits, hyphens and dots',
  accepts: (value) =>
    value.length <= 253 && value.split('.').every((label) => /^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$/.test(label)),
};

/** A server of name or time: its address or its name. */
export const host: ValueRule = {
  wants: 'an address or a host name',
  accepts: (value) => isIP(value) !== 0 || hostname.accepts(value),
};

/** A disk as the installer is told it: `/dev/` is prefixed, so an empty one would be `/dev`. */
export const disk: ValueRule = {
  wants: 'one disk as sda, /dev/disk/by-id/… or iscsi:…',
  accepts: (value) => /^(?:iscsi:\S+|[^\s,;]+)$/.test(value) && !/^\/?(?:dev\/?)?$/.test(value),
};

export const interfaceName: ValueRule = {
  wants: 'an interface name as eth0',
  accepts: (value) => /^[A-Za-z0-9._@-]{1,15}$/.test(value),
};

/** Time zones that were looked up: it takes long, and the answer files of a rack name the same one. */
const knownZones = new Set<string>();

export const timezone: ValueRule = {
  wants: 'a time zone as Europe/Paris or Etc/UTC',
  accepts(value) {
    if (knownZones.has(value)) return true;
    if (!/^[A-Za-z]/.test(value)) return false;
    try {
      new Intl.DateTimeFormat('en', { timeZone: value });
    } catch {
      return false;
    }
    knownZones.add(value);
    return true;
  },
};

export const keymap: ValueRule = {
  wants: 'the name of a keymap as us or de-latin1',
  accepts: (value) => /^[A-Za-z0-9_.-]+$/.test(value),
};

export const unitName: ValueRule = {
  wants: 'the name of a service without .service',
  accepts: (value) => /^[A-Za-z0-9_.@-]+$/.test(value) && !value.endsWith('.service'),
};

/** What the installers’ fetcher opens. */
export const url: ValueRule = {
  wants: 'an http://, https://, ftp://, nfs:// or file:/// URL',
  accepts(value) {
    if (/\s/.test(value)) return false;
    if (/^nfs:\/\/[^/:]+:\/./.test(value)) return true;
    if (/^file:\/\/\/./.test(value)) return true;
    if (!/^(?:https?|ftp):\/\//.test(value)) return false;
    return URL.canParse(value);
  },
};

export const nfsPath: ValueRule = {
  wants: 'server:/directory',
  accepts: (value) => /^(?:nfs:\/\/)?[^\s/:]+:\/\S*$/.test(value),
};
