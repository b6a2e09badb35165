import { shortId } from '../../osimage/manifest.js';
import type { BootEntry } from '../../osimage/types.js';
import { mergeHandedLine } from '../../node/xcat/handed-line.js';
import type { EntryVariables } from '../../template/variables.js';
import { renderTemplate } from '../../template/render.js';
import { LINUX_LINE, splitArguments, XEN_LINE } from './arguments.js';
import { BootError } from './errors.js';

/** What one machine is to do now, before it is said in a loader's language. */
export type BootPlan =
  | SystemBoot
  /** Go on to the next boot device. */
  | { readonly kind: 'local'; readonly node: string; readonly reason: string }
  /** Nobody knows this machine. It boots from its disk too, and shows why. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** A system to load: all its files are of one generation. */
export type SystemBoot = LinuxBoot | XenBoot;

interface SystemBase {
  readonly node: string;
  readonly title: string;
  readonly what: string; // `d12@1a2b3c4d5e6f install`
  readonly serverUrl: string; // http://10.77.0.1:8080, no final slash
  readonly base: string; // path of the generation: /images/d12@…, no final slash
  readonly kernel: string; // path below files/ of `base`
  readonly args: readonly string[]; // words of the kernel line
  readonly note?: string; // a comment: why there is no token
}

/** A Linux kernel with its archives. */
export interface LinuxBoot extends SystemBase {
  readonly kind: 'linux';
  readonly initrds: readonly string[];
  readonly efiProgram?: string; // path as `kernel`: what UEFI starts in its place
  readonly firmware?: 'bios' | 'uefi'; // the only one that it starts on
}

/** The Xen hypervisor, the kernel of its first guest, and the one archive it hands on. */
export interface XenBoot extends SystemBase {
  readonly kind: 'xen';
  readonly hypervisor: string;
  readonly hypervisorArgs: readonly string[]; // words of its line
  readonly initrd?: string;
  readonly isFirstOfSeveral: boolean; // the initrd's first archive, for a loader that unpacks: mboot.ts
}

/** The node's attributes that are words of its kernel line and of its hypervisor's, after all others. */
export const BOOTARGS_ATTRIBUTE = 'bootargs';
export const XENARGS_ATTRIBUTE = 'xenargs';

/** What a plan says besides its entry. */
export interface PlanFacts {
  readonly note?: string; // a comment
  readonly isFirstOfSeveral?: boolean; // see XenBoot
}

/**
 * What `entry` comes to for the node of `variables`. Throws TemplateError BAD_TEMPLATE, BootError BAD_ARGUMENTS, and
 * BAD_ENTRY for what no loader could do.
 */
export function planEntry(
  entry: BootEntry,
  variables: EntryVariables,
  { note, isFirstOfSeveral = false }: PlanFacts = {},
): SystemBoot {
  const { osimage, generation, server, node } = variables;
  const what = `${osimage}@${shortId(generation)} ${entry.label}`;
  const words = (text: string, name: string, attribute: string): string[] =>
    splitArguments(
      [renderTemplate(text, `${name} of ${what}`, variables), node?.attributes[attribute] ?? ''].join(' '),
      entry.kind === 'xen' ? XEN_LINE : LINUX_LINE,
    );
  const own = words(entry.args, 'boot arguments', BOOTARGS_ATTRIBUTE);
  const line = entry.kind === 'linux' ? (variables.xcat?.line ?? '') : '';
  const base: SystemBase = {
    node: node?.name ?? '',
    title: entry.title,
    what,
    serverUrl: server.url,
    base: `/images/${osimage}@${generation}`,
    kernel: entry.kernel,
    args: line === '' ? own : withHandedLine(line, own, node?.attributes[BOOTARGS_ATTRIBUTE]),
    ...(note === undefined ? {} : { note }),
  };
  if (entry.kind === 'linux') {
    const { initrds, efiProgram, firmware } = entry;
    return {
      kind: 'linux',
      ...base,
      initrds,
      ...(efiProgram === undefined ? {} : { efiProgram }),
      ...(firmware === undefined ? {} : { firmware }),
    };
  }
  const [initrd, ...more] = entry.initrds;
  if (more.length > 0) {
    throw new BootError(
      'BAD_ENTRY',
      `${what} has ${entry.initrds.length} archives, and Xen hands one on; make one archive of them`,
    );
  }
  return {
    kind: 'xen',
    ...base,
    hypervisor: entry.hypervisor,
    hypervisorArgs: words(entry.hypervisorArgs, 'hypervisor arguments', XENARGS_ATTRIBUTE),
    ...(initrd === undefined ? {} : { initrd }),
    isFirstOfSeveral,
  };
}

/** The words of the kernel line that xCAT composed, over those of the osimage. */
function withHandedLine(line: string, own: readonly string[], bootargs = ''): string[] {
  return splitArguments([...mergeHandedLine(splitArguments(line), own), bootargs].join(' '));
}
