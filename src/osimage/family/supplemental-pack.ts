import { readText, type Source } from '../source/source.js';
import type { MediaLayout } from './layout.js';

const MAX_UPDATE = 1024 * 1024; // bytes of update.xml

/**
 * A driver disk or supplemental pack of XCP-ng: `update.xml`, `repodata/`, `Packages/` (host-installer, repository.py).
 * It boots nothing; installers read it as a tree, by `<driver-source>` or `<source>`.
 */
export async function supplementalPack({ files }: Source): Promise<MediaLayout | undefined> {
  const update = files.find((file) => file.path === 'update.xml');
  if (update === undefined || !files.some((file) => file.path === 'repodata/repomd.xml')) return undefined;
  const text = await readText(update, MAX_UPDATE);
  const [, tag] = /<update(\s[^>]*)?>/.exec(text) ?? [];
  const [, label] = /\sname-label\s*=\s*["']([^"']*)["']/.exec(tag ?? '') ?? [];
  if (tag === undefined || label === undefined) return undefined;
  const drivers = files.some((file) => /^Packages\/.*\.rpm$/.test(file.path));
  return {
    family: 'xcp-ng',
    files: [],
    tree: files,
    boot: [],
    notes: [
      `a supplemental pack, ${label}${drivers ? '' : ', without packages'}: it boots nothing; name its tree in an answer file, as <driver-source> or <source>`,
    ],
  };
}
