import type { BootEntry } from '../../osimage/types.js';
import type { EntryVariables } from '../../template/variables.js';
import { grubArguments, grubQuote, plainLine, plainPath, syslinuxArguments } from './arguments.js';
import { fillLoaderTemplate } from './loader-templates.js';
import { mbootModules } from './mboot.js';
import { planEntry, type SystemBoot } from './plan.js';

/** How the menus of an ISO behave. */
export interface IsoMenuOptions {
  readonly title: string; // shown above the entries
  readonly base?: string; // directory of the boot files on the ISO, without a final slash; default the root
  readonly timeoutSeconds: number; // 0: the first entry boots at once
  readonly serial: boolean; // menu on the first serial port, too
  readonly losing?: readonly string[]; // labels of entries that mboot.c32 would lose archives of
  /** A file that no other disc has: GRUB looks for it, where the firmware may have started it from something else. */
  readonly mark?: string;
  /** An entry's words as this ISO has them. */
  readonly argumentsOf?: (entry: BootEntry, words: readonly string[]) => readonly string[];
}

/**
 * The texts of isolinux.cfg and grub.cfg for `entries`, the first being the default, from the same description that
 * network boots are rendered from. Throws TemplateError BAD_TEMPLATE and BootError.
 */
export function renderIsoConfigs(
  entries: readonly BootEntry[],
  variables: EntryVariables,
  options: IsoMenuOptions,
): { readonly isolinux: string; readonly grub: string } {
  const base = options.base ?? '';
  const plans = entries.map((entry) => {
    const plan = planEntry(
      entry,
      { ...variables, entry: entry.label },
      { isFirstOfSeveral: options.losing?.includes(entry.label) === true },
    );
    return { entry, plan: { ...plan, args: options.argumentsOf?.(entry, plan.args) ?? plan.args } };
  });
  const startsOn = (firmware: 'bios' | 'uefi'): typeof plans =>
    plans.filter(({ entry }) => (firmwareOf(entry) ?? firmware) === firmware);
  const shared = {
    title: plainLine(options.title),
    serial: options.serial,
    default: entries[0]?.label ?? '',
  };
  const isolinux = fillLoaderTemplate('iso/isolinux.cfg.liquid', {
    ...shared,
    prompt: options.timeoutSeconds > 0 ? 1 : 0,
    timeout: options.timeoutSeconds * 10,
    entries: startsOn('bios').map(({ entry, plan }) => ({
      label: entry.label,
      title: plainLine(entry.title),
      ...isolinuxLines(plan, (path) => plainPath(`${base}/${path}`, 'ISOLINUX')),
    })),
  });
  const grub = fillLoaderTemplate('iso/grub.cfg.liquid', {
    ...shared,
    timeout: options.timeoutSeconds,
    mark: options.mark === undefined ? '' : grubQuote(`/${options.mark}`),
    gzip: entries.some((entry) => entry.kind === 'xen'),
    entries: startsOn('uefi').map(({ entry, plan }) => ({
      label: entry.label,
      title: grubQuote(plainLine(entry.title)),
      commands: grubCommands(entry, plan, (path) => grubQuote(`${base}/${path}`)),
    })),
  });
  return { isolinux, grub };
}

/** The only firmware that `entry` starts on. */
function firmwareOf(entry: BootEntry): 'bios' | 'uefi' | undefined {
  if (entry.kind === 'linux') return entry.firmware;
  return isEfi(entry.hypervisor) ? 'uefi' : undefined;
}

const isEfi = (path: string): boolean => /\.efi$/i.test(path);

/** The directive that says what the file is, whatever its name, and what stands behind INITRD and APPEND; empty: no such line. */
function isolinuxLines(
  plan: SystemBoot,
  path: (name: string) => string,
): { readonly directive: string; readonly kernel: string; readonly initrds: string; readonly args: string } {
  return plan.kind === 'linux'
    ? {
        directive: 'LINUX',
        kernel: path(plan.kernel),
        initrds: plan.initrds.map(path).join(','),
        args: syslinuxArguments(plan.args),
      }
    : { directive: 'KERNEL', kernel: 'mboot.c32', initrds: '', args: mbootModules(plan, path) };
}

function grubCommands(entry: BootEntry, plan: SystemBoot, path: (name: string) => string): string[] {
  const line = (...words: readonly string[]): string => words.filter((word) => word !== '').join(' ');
  if (entry.kind === 'linux' && entry.efiProgram !== undefined)
    return [line('chainloader', path(entry.efiProgram))];
  if (entry.kind === 'linux' && isEfi(entry.kernel)) return [line('chainloader', path(entry.kernel))];
  if (plan.kind === 'linux') {
    return [
      line('linux', path(plan.kernel), grubArguments(plan.args)),
      ...(plan.initrds.length === 0 ? [] : [line('initrd', ...plan.initrds.map(path))]),
    ];
  }
  // xen.efi is loaded by commands that only XenServer's GRUB has.
  const [load, module] = isEfi(plan.hypervisor)
    ? ['xen_hypervisor', 'xen_module']
    : ['multiboot2', 'module2 --nounzip'];
  return [
    line(load, path(plan.hypervisor), grubArguments(plan.hypervisorArgs)),
    line(module, path(plan.kernel), grubArguments(plan.args)),
    ...(plan.initrd === undefined ? [] : [line(module, path(plan.initrd))]),
  ];
}
