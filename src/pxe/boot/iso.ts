import type { BootEntry } from '../../osimage/types.js';
import type { EntryVariables } from '../../template/variables.js';
import { grubArguments, grubQuote, plainLine, plainPath, syslinuxArguments } from './arguments.js';
import { fillLoaderTemplate } from './loader-templates.js';
import { planLinux } from './plan.js';

/** How the menus of an ISO behave. */
export interface IsoMenuOptions {
  readonly title: string; // shown above the entries
  readonly base?: string; // directory of the boot files on the ISO, without a final slash; default the root
  readonly timeoutSeconds: number; // 0: the first entry boots at once
  readonly serial: boolean; // menu on the first serial port, too
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
    plan: planLinux(entry, { ...variables, entry: entry.label }),
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
      kernel: plainPath(`${base}/${plan.kernel}`, 'ISOLINUX'),
      initrds: plan.initrds.map((path) => plainPath(`${base}/${path}`, 'ISOLINUX')).join(','),
      args: syslinuxArguments(plan.args),
    })),
  });
  const grub = fillLoaderTemplate('iso/grub.cfg.liquid', {
    ...shared,
    timeout: options.timeoutSeconds,
    entries: plans.map(({ entry, plan }) => ({
      label: entry.label,
      title: grubQuote(plainLine(entry.title)),
      kernel: grubQuote(`${base}/${plan.kernel}`),
      initrds: plan.initrds.map((path) => grubQuote(`${base}/${path}`)).join(' '),
      args: grubArguments(plan.args),
    })),
  });
  return { isolinux, grub };
}
