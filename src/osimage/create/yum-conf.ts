import { ImageError } from '../../image/errors.js';
import type { ConfigTemplate } from './configs/types.js';

/**
 * The sections of a configuration of yum, and what each says. Throws ImageError BAD_LAYER, by file and line, for what is no
 * section, no `name=value`, no comment and no continued line (dnf names a copy that is gone by then).
 */
export function parseYumConf({ where, text }: ConfigTemplate): ReadonlyMap<string, ReadonlySet<string>> {
  const sections = new Map<string, Set<string>>();
  let names = new Set<string>(); // before any section: what withMainOptions puts into [main]
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:[#;].*)?$/.test(line) || (/^\s/.test(line) && names.size > 0)) continue;
    const section = /^\[([^\]]+)\]/.exec(line)?.[1];
    const name = /^([^\s=[][^=]*?)\s*=/.exec(line)?.[1];
    if (section !== undefined) sections.set(section, (names = new Set()));
    else if (name !== undefined) names.add(name);
    else
      throw new ImageError(
        'BAD_LAYER',
        `${where}:${at + 1}: ${JSON.stringify(line.slice(0, 60))} is neither [section] nor name=value; correct it or make it a comment`,
      );
  }
  return sections;
}

/**
 * The text of a yum.conf whose section [main] says `options`, and nothing else of them: what stood there of the same name is
 * left out, with the lines that continue it. Without such a section, one begins the text.
 */
export function withMainOptions(text: string, options: Readonly<Record<string, string>>): string {
  const stated = Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const lines: string[] = [];
  let within = false;
  let dropping = false;
  for (const line of (/^\[main\]/m.test(text) ? text : `[main]\n${text}`).split(/\r?\n/)) {
    const section = /^\[([^\]]*)\]/.exec(line)?.[1];
    if (section !== undefined) {
      within = section === 'main';
      dropping = false;
      lines.push(line, ...(within ? stated.splice(0) : []));
      continue;
    }
    if (dropping && /^\s+\S/.test(line)) continue;
    const name = /^([^\s=#;][^=]*?)\s*=/.exec(line)?.[1];
    dropping = within && name !== undefined && Object.hasOwn(options, name);
    if (!dropping) lines.push(line);
  }
  return `${lines.join('\n').replace(/\n+$/, '')}\n`;
}
