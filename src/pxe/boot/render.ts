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
import { CORE_FILES } from './grub-core.js';
import { grubFile, type GrubTransport } from './grub-paths.js';
import { fillLoaderTemplate } from './loader-templates.js';
import { mbootModules } from './mboot.js';
import type { BootPlan, LinuxBoot, SystemBoot, XenBoot } from './plan.js';

/** How often a script tries before it says so and asks the server anew. */
const ATTEMPTS = 4;

/** The plan as an iPXE script; `self` is the URL the script came from, to ask again at. Throws BootError. */
export function renderIpxe(plan: BootPlan, self: string): string {
  if (!isSystem(plan))
    return fillLoaderTemplate('ipxe/local.liquid', { comment: plainLine(commentOf(plan)) });
  const node = plan.node;
  const shared = {
    ...headOf(plan),
    node,
    what: plainLine(plan.what),
    pause: 3 + spreadOf(node, 5),
    retry: fillLoaderTemplate('ipxe/retry.liquid', {
      node,
      self,
      attempts: ATTEMPTS,
      longPause: 30 + spreadOf(node, 30),
    }),
  };
  return plan.kind === 'linux' ? ipxeLinux(plan, shared) : ipxeXen(plan, shared);
}

function ipxeLinux(plan: LinuxBoot, shared: object): string {
  const names = plan.initrds.map((_, at) => `initrd${at}`);
  // On UEFI the kernel loads what `initrd=` names, in order; on BIOS it passes the words by.
  const args = ipxeArguments([...names.map((name) => `initrd=${name}`), ...plan.args]);
  const kernel = urlOf(plan, plan.kernel);
  const { efiProgram } = plan;
  return fillLoaderTemplate('ipxe/linux.liquid', {
    ...shared,
    only: plan.firmware ?? '',
    kernel: efiProgram === undefined ? kernel : '${kernel}',
    programs: efiProgram === undefined ? [] : [kernel, urlOf(plan, efiProgram)],
    initrds: plan.initrds.map((path, at) => ({ name: names[at], url: urlOf(plan, path) })),
    args,
  });
}

/**
 * What iPXE has room for, in bytes: the lines of the hypervisor and of its kernel, each with its URL before it and a NUL
 * behind it (arch/x86/image/multiboot.c: MB_MAX_CMDLINE). It cuts off the rest without a word.
 */
const MULTIBOOT_LINES = 512;

/**
 * Multiboot on BIOS, where the hypervisor must not be compressed, or PXELINUX for what iPXE has no room for; on UEFI our
 * GRUB goes on.
 */
function ipxeXen(full: XenBoot, shared: object): string {
  requireMultiboot(full);
  // The URLs take of the room that the lines have.
  const plan = { ...full, base: full.base.replace(/(@[0-9a-f]{16})[0-9a-f]+$/, '$1') };
  const hypervisor = plan.serverUrl + encodePath(`${plan.base}/hypervisor/${plan.hypervisor}`);
  const hypervisorArgs = ipxeArguments(plan.hypervisorArgs);
  const kernel = urlOf(plan, plan.kernel);
  const args = ipxeArguments(plan.args);
  const room = [hypervisor, hypervisorArgs, kernel, args].reduce((sum, text) => sum + text.length + 1, 0);
  return fillLoaderTemplate('ipxe/xen.liquid', {
    ...shared,
    isTooLong: room > MULTIBOOT_LINES,
    hypervisor,
    hypervisorArgs,
    kernel,
    args,
    initrd: plan.initrd === undefined ? '' : urlOf(plan, plan.initrd),
    tftp: new URL(plan.serverUrl).hostname,
    grub: `${plan.serverUrl}/loaders/${CORE_FILES['x86_64-efi']}`,
  });
}

function urlOf(plan: SystemBoot, path: string): string {
  return plan.serverUrl + encodePath(`${plan.base}/files/${path}`);
}

/** The script for any iPXE client: it asks `url` again with what the machine can be known by. */
export function renderIpxeEntry(url: string): string {
  return fillLoaderTemplate('ipxe/entry.liquid', { url });
}

/** The plan as a PXELINUX configuration; its files come over TFTP. Throws BootError. */
export function renderPxelinux(plan: BootPlan): string {
  if (!isSystem(plan))
    return fillLoaderTemplate('pxelinux/local.liquid', { comment: plainLine(commentOf(plan)) });
  const path = (name: string): string => plainPath(`${plan.base}/files/${name}`, 'PXELINUX');
  if (plan.kind === 'linux') {
    requireFirmware(plan, 'bios', 'PXELINUX');
    return fillLoaderTemplate('pxelinux/linux.liquid', {
      ...headOf(plan),
      kernel: path(plan.kernel),
      initrds: plan.initrds.map(path).join(','),
      args: syslinuxArguments(plan.args),
    });
  }
  requireMultiboot(plan);
  return fillLoaderTemplate('pxelinux/xen.liquid', { ...headOf(plan), modules: mbootModules(plan, path) });
}

/** The plan as a GRUB configuration, its files fetched by the same `transport` as the configuration. Throws BootError. */
export function renderGrub(plan: BootPlan, transport: GrubTransport): string {
  if (!isSystem(plan))
    return fillLoaderTemplate('grub/local.liquid', { comment: plainLine(commentOf(plan)) });
  const path = (name: string): string => grubFile(plan.serverUrl, transport, `${plan.base}/files/${name}`);
  const longPause = 30 + spreadOf(plan.node, 30);
  const shared = {
    ...headOf(plan),
    message: grubQuote(plainLine(`rackboot: ${plan.node}: ${plan.what}`)),
    kernel: path(plan.kernel),
    args: grubArguments(plan.args),
    pauses: Array.from({ length: ATTEMPTS }, (_, at) => (3 + spreadOf(plan.node, 5)) * 2 ** at).join(' '),
    retry: fillLoaderTemplate('grub/retry.liquid', { longPause }),
  };
  if (plan.kind === 'linux') {
    requireFirmware(plan, 'uefi', 'GRUB');
    const program = plan.efiProgram ?? (plan.firmware === 'uefi' ? plan.kernel : undefined);
    return fillLoaderTemplate('grub/linux.liquid', {
      ...shared,
      load: program === undefined ? `linux ${shared.kernel} ${shared.args}` : `chainloader ${path(program)}`,
      initrds: plan.initrds.map(path).join(' '),
    });
  }
  requireMultiboot(plan);
  return fillLoaderTemplate('grub/xen.liquid', {
    ...shared,
    hypervisor: path(plan.hypervisor),
    hypervisorArgs: grubArguments(plan.hypervisorArgs),
    initrd: plan.initrd === undefined ? '' : path(plan.initrd),
  });
}

/** Throws BootError BAD_ENTRY where `plan` does not start on the firmware that the loader is for. */
function requireFirmware({ what, firmware }: LinuxBoot, own: 'bios' | 'uefi', loader: string): void {
  if (firmware === undefined || firmware === own) return;
  throw new BootError(
    'BAD_ENTRY',
    `${what} starts on ${firmware === 'bios' ? 'BIOS' : 'UEFI'} only, and ${loader} is for ${own === 'bios' ? 'BIOS' : 'UEFI'}; set the node to another entry`,
  );
}

/** Throws BootError BAD_ENTRY where the hypervisor is an EFI program, which only loaders on its own media start. */
function requireMultiboot({ what, hypervisor }: XenBoot): void {
  if (!/\.efi$/i.test(hypervisor)) return;
  throw new BootError(
    'BAD_ENTRY',
    `${what} starts ${hypervisor}, an EFI program, and over the network Xen starts by multiboot only; set the node to an entry with xen.gz`,
  );
}

/** A GRUB configuration that asks for the one of `node` until it is there, however often. Throws BootError. */
export function renderGrubAsking(node: string, serverUrl: string, transport: GrubTransport): string {
  return fillLoaderTemplate('grub/ask.liquid', {
    comment: `${node}: asks what it is to do`,
    script: grubFile(serverUrl, transport, `/nodes/${node}/grub.cfg`),
    pause: 5 + spreadOf(node, 20),
  });
}

function isSystem(plan: BootPlan): plan is SystemBoot {
  return plan.kind === 'linux' || plan.kind === 'xen';
}

function headOf(plan: SystemBoot): { readonly comment: string; readonly note: string } {
  return {
    comment: plainLine(`${plan.node}: ${plan.what}`),
    note: plan.note === undefined ? '' : plainLine(plan.note),
  };
}

function commentOf(plan: Exclude<BootPlan, SystemBoot>): string {
  return plan.kind === 'local' ? `${plan.node}: boots from local disk: ${plan.reason}` : plan.reason;
}

/** A number below `limit` that differs from node to node and not from request to request: a rack must not retry in step. */
function spreadOf(node: string, limit: number): number {
  let hash = 0;
  for (const byte of Buffer.from(node)) hash = (hash * 31 + byte) >>> 0;
  return hash % limit;
}
