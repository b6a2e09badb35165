import type { LayerSnapshot } from '../image/layer.js';
import { checkTemplate } from './templates.js';
import type { BootEntry, Family } from './types.js';

/** A layer's boot arguments, and what errors call it. */
export interface BootLayer {
  readonly name: string;
  readonly snapshot: Pick<LayerSnapshot, 'bootargs' | 'xenargs'>;
}

/**
 * The boot entries with the arguments of `layers` (highest first), lowest layer first, so that a higher one has the last
 * word. They follow the entry's own; XCP-ng's stand before these, as create-install-image inserts them behind the
 * kernel: its installer talks on the console that is named last, and does not take a last word in quotes. What loads no
 * archive there is no installer and keeps its line. Throws TemplateError BAD_TEMPLATE.
 */
export function layeredBoot(
  family: Family,
  base: readonly BootEntry[],
  layers: readonly BootLayer[],
  settings: Readonly<Record<string, string>>,
): BootEntry[] {
  const lowestFirst = [...layers].reverse();
  for (const { name, snapshot } of lowestFirst) {
    checkTemplate(snapshot.bootargs, `${name}/bootargs`, settings);
    checkTemplate(snapshot.xenargs ?? '', `${name}/xenargs`, settings);
  }
  const lines = (texts: readonly (string | undefined)[]): string =>
    texts
      .flatMap((text) => text?.split('\n') ?? [])
      .filter((words) => words !== '')
      .join(' ');
  const bootargs = lines(lowestFirst.map(({ snapshot }) => snapshot.bootargs));
  const xenargs = lines(lowestFirst.map(({ snapshot }) => snapshot.xenargs));
  const inFront = family === 'xcp-ng';
  const join = (own: string, added: string): string =>
    (inFront ? [added, own] : [own, added]).filter((words) => words !== '').join(' ');
  return base.map((entry) => {
    if (inFront && entry.initrds.length === 0) return entry;
    const args = join(inFront ? checkedByAnswer(entry.args) : entry.args, bootargs);
    return entry.kind === 'linux'
      ? { ...entry, args }
      : {
          ...entry,
          args,
          hypervisorArgs: [entry.hypervisorArgs, xenargs].filter((words) => words !== '').join(' '),
        };
  });
}

/**
 * `args` in which the words that switch signature checks off stand for machines without an answer file only: XCP-ng 8's
 * installer dies of both together (host-installer: no-repo-gpgcheck), and the answer file says it itself.
 */
function checkedByAnswer(args: string): string {
  return args
    .split(' ')
    .map((word) =>
      /^no-(?:repo-)?gpgcheck$/.test(word) ? `{% unless answerfile %} ${word} {% endunless %}` : word,
    )
    .join(' ');
}
