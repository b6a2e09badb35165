import {
  encodePath,
  grubArguments,
  grubQuote,
  ipxeArguments,
  plainLine,
  plainPath,
  syslinuxArguments,
} from './arguments.js';
import { BootError } from './errors.js';
import { fillLoaderTemplate } from './loader-templates.js';
import type { BootPlan, LinuxBoot } from './plan.js';

/** How often a script tries before it says so and begins anew. */
const ATTEMPTS = 5;

/** The plan as an iPXE script; `self` is the URL the script came from, to ask again at. Throws BootError. */
export function renderIpxe(plan: BootPlan, self: string): string {
  if (plan.kind !== 'linux')
    return fillLoaderTemplate('ipxe/local.liquid', { comment: plainLine(commentOf(plan)) });
  const names = plan.initrds.map((_, at) => `initrd${at}`);
  // On UEFI the kernel loads what `initrd=` names, in order; on BIOS it passes the words by.
  const args = ipxeArguments([...names.map((name) => `initrd=${name}`), ...plan.args]);
  const url = (path: string): string => plan.serverUrl + encodePath(`${plan.base}/${path}`);
  return fillLoaderTemplate('ipxe/linux.liquid', {
    comment: plainLine(commentOf(plan)),
    note: plan.note === undefined ? '' : plainLine(plan.note),
    node: plan.node,
    what: plainLine(plan.what),
    kernel: url(plan.kernel),
    initrds: plan.initrds.map((path, at) => ({ name: names[at], url: url(path) })),
    args,
    self,
    attempts: ATTEMPTS,
    pause: 3 + spreadOf(plan.node, 5),
    longPause: 30 + spreadOf(plan.node, 30),
  });
}

/** The script for any iPXE client: it asks `url` again with what the machine can be known by. */
export function renderIpxeEntry(url: string): string {
  return fillLoaderTemplate('ipxe/entry.liquid', { url });
}

/** The plan as a PXELINUX configuration; its files come over TFTP. Throws BootError. */
export function renderPxelinux(plan: BootPlan): string {
  const comment = plainLine(commentOf(plan));
  if (plan.kind !== 'linux') return fillLoaderTemplate('pxelinux/local.liquid', { comment });
  const path = (name: string): string => plainPath(`${plan.base}/${name}`, 'PXELINUX');
  return fillLoaderTemplate('pxelinux/linux.liquid', {
    comment,
    note: plan.note === undefined ? '' : plainLine(plan.note),
    kernel: path(plan.kernel),
    initrds: plan.initrds.map(path).join(','),
    args: syslinuxArguments(plan.args),
  });
}

/** The plan as a GRUB configuration, its files fetched by the same `transport` as the configuration. Throws BootError. */
export function renderGrub(plan: BootPlan, transport: 'http' | 'tftp'): string {
  const comment = plainLine(commentOf(plan));
  if (plan.kind !== 'linux') return fillLoaderTemplate('grub/local.liquid', { comment });
  const path = grubPaths(plan, transport);
  return fillLoaderTemplate('grub/linux.liquid', {
    comment,
    note: plan.note === undefined ? '' : plainLine(plan.note),
    message: grubQuote(plainLine(`rackboot: ${plan.node}: ${plan.what}`)),
    kernel: path(plan.kernel),
    initrds: plan.initrds.map(path).join(' '),
    args: grubArguments(plan.args),
    attempts: Array.from({ length: ATTEMPTS }, (_, at) => at + 1).join(' '),
    pause: 5 + spreadOf(plan.node, 20),
    longPause: 30 + spreadOf(plan.node, 30),
  });
}

function grubPaths(plan: LinuxBoot, transport: 'http' | 'tftp'): (path: string) => string {
  const url = new URL(plan.serverUrl);
  if (transport === 'tftp') {
    return (path) => grubQuote(`(tftp,${url.hostname})${plainPath(`${plan.base}/${path}`, 'GRUB')}`);
  }
  if (url.protocol !== 'http:') {
    throw new BootError(
      'BAD_URL',
      `GRUB cannot speak ${url.protocol.slice(0, -1)}; set http.url to an http:// URL`,
    );
  }
  const prefix = url.pathname.replace(/\/$/, '');
  return (path) => grubQuote(`(http,${url.host})${prefix}${encodePath(`${plan.base}/${path}`)}`);
}

function commentOf(plan: BootPlan): string {
  if (plan.kind === 'linux') return `${plan.node}: ${plan.what}`;
  return plan.kind === 'local' ? `${plan.node}: boots from local disk: ${plan.reason}` : plan.reason;
}

/** A number below `limit` that differs from node to node and not from request to request: a rack must not retry in step. */
function spreadOf(node: string, limit: number): number {
  let hash = 0;
  for (const byte of Buffer.from(node)) hash = (hash * 31 + byte) >>> 0;
  return hash % limit;
}
