import {
  encodePath,
  grubArguments,
  ipxeArguments,
  plainLine,
  plainPath,
  syslinuxArguments,
} from '../boot/arguments.js';
import { fillLoaderTemplate } from '../boot/loader-templates.js';
import type { BootPlan, LinuxBoot } from '../boot/plan.js';
import { renderGrub, renderIpxe, renderPxelinux } from '../boot/render.js';

/** What the bodies of xCAT's boot files are made of besides the plan. */
export interface XcatFacts {
  readonly state: string; // as `nodeset stat` prints it: xCAT writes it into the file
  readonly self: string; // URL to ask again at, for what xCAT's form cannot say
  readonly transport: 'http' | 'tftp'; // for GRUB's files
  readonly arch: string; // of the node: `x86_64`
}

/** The plan in the form of `<tftpdir>/xcat/xnba/nodes/<node>`, or of `….uefi`. Throws BootError. */
export function renderXnba(plan: BootPlan, { state, self }: XcatFacts, isUefi: boolean): string {
  if (plan.kind === 'xen') return renderIpxe(plan, self);
  if (plan.kind !== 'linux') return fillLoaderTemplate('xcat/xnba-local.liquid', { state: 'boot' });
  const names = plan.initrds.map((_, at) => (at === 0 ? 'initrd' : `initrd${at}`));
  // The loader knows which interface it came over.
  const words = [ipxeArguments(ownWords(plan)), 'BOOTIF=01-${netX/mac:hexhyp}'];
  const named = isUefi ? names.map((name) => `initrd=${name}`) : [];
  return fillLoaderTemplate('xcat/xnba.liquid', {
    state: isUefi ? '' : plainLine(state),
    kernel: urlOf(plan, plan.kernel),
    args: [...words, ...named].filter((word) => word !== '').join(' '),
    initrds: plan.initrds.map((path, at) => ({ name: names[at], url: urlOf(plan, path) })),
  });
}

/** For machines that are no node: they ask again with what they can be known by. */
export function renderXnbaDiscovery(serverUrl: string): string {
  return fillLoaderTemplate('xcat/xnba-net.liquid', { url: `${serverUrl}/boot.ipxe` });
}

/** The plan in the form of `<tftpdir>/pxelinux.cfg/<node>`. Throws BootError. */
export function renderXcatPxelinux(plan: BootPlan, { state }: XcatFacts): string {
  if (plan.kind === 'xen') return renderPxelinux(plan);
  if (plan.kind !== 'linux') return fillLoaderTemplate('xcat/pxelinux.liquid', { state: 'boot', kernel: '' });
  const path = (name: string): string => plainPath(`${plan.base}/files/${name}`, 'PXELINUX');
  return fillLoaderTemplate('xcat/pxelinux.liquid', {
    state: plainLine(state),
    kernel: path(plan.kernel),
    initrds: plan.initrds.map(path).join(','),
    args: syslinuxArguments(ownWords(plan)),
  });
}

/** The plan in the form of `<tftpdir>/boot/grub2/<node>`, which has no final line break. Throws BootError. */
export function renderXcatGrub(plan: BootPlan, { state, transport, arch }: XcatFacts): string {
  if (plan.kind === 'xen') return renderGrub(plan, transport);
  if (plan.kind !== 'linux')
    return fillLoaderTemplate('xcat/grub.liquid', { state: 'boot', kernel: '' }).trimEnd();
  const url = new URL(plan.serverUrl);
  const prefix = transport === 'http' ? url.pathname.replace(/\/$/, '') : '';
  const path = (name: string): string => plainPath(`${prefix}${plan.base}/files/${name}`, 'GRUB');
  const isX86 = /^(?:x86_64|x86|i[3-6]86|)$/.test(arch);
  return fillLoaderTemplate('xcat/grub.liquid', {
    state: plainLine(state),
    root: transport === 'http' ? `http,${url.host}` : `tftp,${url.hostname}`,
    linux: isX86 ? 'linuxefi' : 'linux',
    initrd: isX86 ? 'initrdefi' : 'initrd',
    kernel: path(plan.kernel),
    args: grubArguments(ownWords(plan)),
    initrds: plan.initrds.map(path).join(' '),
  }).trimEnd();
}

function urlOf(plan: LinuxBoot, path: string): string {
  return plan.serverUrl + encodePath(`${plan.base}/files/${path}`);
}

/** The words of the kernel line that the loader does not know better. */
function ownWords({ args }: LinuxBoot): readonly string[] {
  return args.filter((word) => !/^BOOTIF=01-/i.test(word));
}
