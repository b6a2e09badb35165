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
  const plans = entries.map((entry) => ({
    entry,
    plan: planEntry(
      entry,
      { ...variables, entry: entry.label },
      { isFirstOfSeveral: options.losing?.includes(entry.label) === true },
    ),
  }));
  const shared = {
    title: plainLine(options.title),
    serial: options.serial,
    default: entries[0]?.label ?? '',
  };
  const isolinux = fillLoaderTemplate('iso/isolinux.cfg.liquid', {
    ...shared,
    prompt: options.timeoutSeconds > 0 ? 1 : 0,
    timeout: options.timeoutSeconds * 10,
    entries: plans.map(({ entry, plan }) => ({
      label: entry.label,
      title: plainLine(entry.title),
      ...isolinuxLines(plan, (path) => plainPath(`${base}/${path}`, 'ISOLINUX')),
    })),
  });
  const grub = fillLoaderTemplate('iso/grub.cfg.liquid', {
    ...shared,
    timeout: options.timeoutSeconds,
    entries: plans.map(({ entry, plan }) => ({
      label: entry.label,
      title: grubQuote(plainLine(entry.title)),
      commands: grubCommands(plan, (path) => grubQuote(`${base}/${path}`)),
    })),
  });
  return { isolinux, grub };
}

/** What stands behind KERNEL, INITRD and APPEND; empty: no such line. */
function isolinuxLines(
  plan: SystemBoot,
  path: (name: string) => string,
): { readonly kernel: string; readonly initrds: string; readonly args: string } {
  return plan.kind === 'linux'
    ? {
        kernel: path(plan.kernel),
        initrds: plan.initrds.map(path).join(','),
        args: syslinuxArguments(plan.args),
      }
    : { kernel: 'mboot.c32', initrds: '', args: mbootModules(plan, path) };
}

function grubCommands(plan: SystemBoot, path: (name: string) => string): string[] {
  const line = (...words: readonly string[]): string => words.filter((word) => word !== '').join(' ');
  if (plan.kind === 'linux') {
    return [
      line('linux', path(plan.kernel), grubArguments(plan.args)),
      ...(plan.initrds.length === 0 ? [] : [line('initrd', ...plan.initrds.map(path))]),
    ];
  }
  return [
    line('multiboot2', path(plan.hypervisor), grubArguments(plan.hypervisorArgs)),
    line('module2 --nounzip', path(plan.kernel), grubArguments(plan.args)),
    ...(plan.initrd === undefined ? [] : [line('module2 --nounzip', path(plan.initrd))]),
  ];
}
