import { shortId } from '../../osimage/manifest.js';
import type { BootEntry } from '../../osimage/types.js';
import type { EntryVariables } from '../../template/variables.js';
import { renderTemplate } from '../../template/render.js';
import { splitArguments } from './arguments.js';

/** What one machine is to do now, before it is said in a loader's language. */
export type BootPlan =
  | LinuxBoot
  /** Go on to the next boot device. */
  | { readonly kind: 'local'; readonly node: string; readonly reason: string }
  /** Nobody knows this machine. It boots from its disk too, and shows why. */
  | { readonly kind: 'unknown'; readonly reason: string };

/** A Linux kernel with its archives, all of one generation. */
export interface LinuxBoot {
  readonly kind: 'linux';
  readonly node: string;
  readonly title: string;
  readonly what: string; // `d12@1a2b3c4d5e6f install`
  readonly serverUrl: string; // http://10.77.0.1:8080, no final slash
  readonly base: string; // /images/d12@…/files, no final slash
  readonly kernel: string; // path below `base`
  readonly initrds: readonly string[];
  readonly args: readonly string[]; // words of the kernel line
  readonly note?: string; // a comment: why there is no token
}

/** What `entry` comes to for the node of `variables`. Throws TemplateError BAD_TEMPLATE and BootError BAD_ARGUMENTS. */
export function planLinux(entry: BootEntry, variables: EntryVariables, note?: string): LinuxBoot {
  const { osimage, generation, server } = variables;
  const what = `${osimage}@${shortId(generation)} ${entry.label}`;
  return {
    kind: 'linux',
    node: variables.node?.name ?? '',
    title: entry.title,
    what,
    serverUrl: server.url,
    base: `/images/${osimage}@${generation}/files`,
    kernel: entry.kernel,
    initrds: entry.initrds,
    args: splitArguments(renderTemplate(entry.args, `boot arguments of ${what}`, variables)),
    ...(note === undefined ? {} : { note }),
  };
}
