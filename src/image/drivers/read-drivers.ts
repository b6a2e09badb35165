import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { BlobWriter } from '../../store/types.js';
import { isDirectory, isRegular, isSymlink, S_IFDIR, S_IFREG } from '../cpio/header.js';
import { ImageError } from '../errors.js';
import type { LayerFile } from '../layer.js';
import { readOverlay } from '../layer-overlay.js';
import { readLocalFile } from '../local-file.js';
import { depmodVersion } from './depmod.js';
import type { DriverModule, DriverSet } from './driver-set.js';
import { kernelOf } from './modinfo.js';
import { moduleKey, moduleName, readModule } from './module-file.js';
import { isPackage, withUnpacked } from './package-contents.js';

/**
 * Reads a layer's `drivers/`: modules, packages that hold some, directories of either called after a kernel's release,
 * and `firmware/`. Stores what they hold, decompressed. `note` is told what is left out of packages. Throws ImageError
 * BAD_LAYER, MISSING_TOOL, TOOL_FAILED, UNREADABLE.
 */
export async function readDrivers(
  root: string,
  writer: BlobWriter,
  note: (line: string) => void,
): Promise<DriverSet> {
  const reader = new DriverReader(root, writer, note);
  await reader.readDirectory('', undefined);
  const set = reader.set();
  return set.modules.length === 0 ? set : { ...set, depmod: await depmodVersion() };
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

const isDocument = (name: string): boolean => name.startsWith('.') || /^README/i.test(name);

class DriverReader {
  readonly #root: string;
  readonly #writer: BlobWriter;
  readonly #note: (line: string) => void;
  readonly #modules = new Map<string, DriverModule>();
  readonly #firmware = new Map<string, { readonly file: LayerFile; readonly source: string }>();

  constructor(root: string, writer: BlobWriter, note: (line: string) => void) {
    this.#root = root;
    this.#writer = writer;
    this.#note = note;
  }

  set(): DriverSet {
    const inOrder = <T>(map: ReadonlyMap<string, T>): T[] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
    return { modules: inOrder(this.#modules), firmware: inOrder(this.#firmware).map(({ file }) => file) };
  }

  /** Takes what lies in the directory `below` the root: the root itself, or one for the release `kernel`. */
  async readDirectory(below: string, kernel: string | undefined): Promise<void> {
    const entries = await readdir(path.join(this.#root, below), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const { name } = entry;
      if (isDocument(name)) continue;
      const relative = path.join(below, name);
      const source = path.join('drivers', relative);
      const file = path.join(this.#root, relative);
      const group = kernel === undefined ? source : 'drivers/<kernel>';
      if (entry.isDirectory() && kernel === undefined) {
        if (name === 'firmware') await this.#takeFirmware(file, source);
        else await this.readDirectory(name, name);
      } else if (!entry.isDirectory() && moduleName(name) !== undefined) {
        await this.#takeModule(file, { source, group }, kernel);
      } else if (!entry.isDirectory() && isPackage(name)) {
        await this.#takePackage(file, { source, group }, kernel);
      } else {
        throw new ImageError(
          'BAD_LAYER',
          `${file}: drivers/ may hold kernel modules (.ko, also .gz, .xz, .zst), .rpm, .deb, firmware/ and directories of modules and packages for one kernel; move it out of there`,
        );
      }
    }
  }

  async #takeModule(
    file: string,
    from: Pick<DriverModule, 'source' | 'group'>,
    kernelWanted: string | undefined,
  ): Promise<void> {
    const name = moduleName(file);
    if (name === undefined) return;
    const bytes = await readModule(name.compression, readLocalFile(file), file);
    const kernel = kernelOf(bytes);
    if (kernel === undefined) {
      throw new ImageError(
        'BAD_LAYER',
        `${from.source}: no kernel module (it has no vermagic); remove it, or copy it again`,
      );
    }
    if (kernelWanted !== undefined && kernel !== kernelWanted) {
      throw new ImageError(
        'BAD_LAYER',
        `${from.source} is built for kernel ${kernel}, and lies in the directory for ${kernelWanted}; move it to drivers/${kernel}/`,
      );
    }
    const blob = await this.#writer.put(bytes);
    const key = `${kernel}/${moduleKey(name.plain)}`;
    const same = this.#modules.get(key);
    if (same !== undefined && same.blob !== blob) throw twice(name.plain, same.source, from.source);
    if (same === undefined) {
      this.#modules.set(key, { kernel, name: name.plain, size: bytes.length, blob, ...from });
    }
  }

  async #takePackage(
    file: string,
    from: Pick<DriverModule, 'source' | 'group'>,
    kernel: string | undefined,
  ): Promise<void> {
    await withUnpacked(file, async ({ dir, others }) => {
      let modules = 0;
      let firmware = 0;
      for (const lib of ['lib', 'usr/lib']) {
        for (const found of await filesBelow(path.join(dir, lib, 'modules'))) {
          if (moduleName(found) === undefined) continue;
          await this.#takeModule(path.join(dir, lib, 'modules', found), from, kernel);
          modules++;
        }
        firmware += await this.#takeFirmware(path.join(dir, lib, 'firmware'), from.source);
      }
      this.#note(
        `${file}: took ${count(modules, 'kernel module')} and ${count(firmware, 'firmware file')}, left out ${count(others, 'other file')}, ran none of its scripts`,
      );
    });
  }

  /** Takes everything below the directory `dir`, if there is one; gives back how many files and links that is. */
  async #takeFirmware(dir: string, source: string): Promise<number> {
    const files = await readOverlay(dir, this.#writer).catch((error: unknown) => {
      if (error instanceof ImageError && error.code === 'UNREADABLE' && isMissing(error)) return [];
      throw error;
    });
    const below = (name: string): string => `lib/firmware/${name}`;
    for (const one of files) {
      const file: LayerFile = {
        ...one,
        path: below(one.path),
        mode: isDirectory(one.mode) ? S_IFDIR | 0o755 : isSymlink(one.mode) ? one.mode : S_IFREG | 0o644,
        ...(one.sameAs === undefined ? {} : { sameAs: below(one.sameAs) }),
      };
      const known = this.#firmware.get(file.path);
      if (known !== undefined && !isSame(known.file, file)) throw twice(file.path, known.source, source);
      if (known === undefined) this.#firmware.set(file.path, { file, source });
    }
    return files.filter(({ mode }) => isRegular(mode) || isSymlink(mode)).length;
  }
}

const isMissing = (error: ImageError): boolean =>
  (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';

const isSame = (one: LayerFile, other: LayerFile): boolean =>
  (isDirectory(one.mode) && isDirectory(other.mode)) ||
  (one.mode === other.mode &&
    one.blob === other.blob &&
    one.target === other.target &&
    one.sameAs === other.sameAs);

const twice = (what: string, one: string, other: string): ImageError =>
  new ImageError('BAD_LAYER', `${what} comes from both ${one} and ${other}, and differs; remove one of them`);

/** The regular files below `dir`, by their paths from there, in order; none when there is no such directory. */
async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
    .sort();
}
