import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileError } from './errors.js';

const packName = /^[0-9a-f]{32}\.pack$/;

/** Where a store keeps its files: finished packs in packs/, unfinished ones in tmp/, on one file system. */
export class StoreLayout {
  readonly root: string;
  readonly packs: string;
  readonly temporary: string;
  readonly scratch: string; // unfinished work of commands, a directory each

  constructor(root: string) {
    this.root = root;
    this.packs = join(root, 'packs');
    this.temporary = join(root, 'tmp');
    this.scratch = join(root, 'scratch');
  }

  /** Makes the directories that are missing. Throws StoreError READ_ONLY when nothing can be written there. */
  async prepare(): Promise<void> {
    try {
      for (const dir of [this.packs, this.temporary]) {
        await mkdir(dir, { recursive: true, mode: 0o700 });
        await access(dir, constants.W_OK);
      }
    } catch (error) {
      throw fileError(error, this.root);
    }
  }

  /** A name that no pack ever had. */
  newName(): string {
    return `${randomBytes(16).toString('hex')}.pack`;
  }

  packPath(name: string): string {
    return join(this.packs, name);
  }

  temporaryPath(name: string): string {
    return join(this.temporary, name);
  }

  /** The names of the finished packs on disk. */
  async listFinishedPacks(): Promise<string[]> {
    return (await readdir(this.packs)).filter((name) => packName.test(name));
  }

  /** The paths of all packs on disk, finished or not, by name. Files of other names are not ours. */
  async listPacks(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const dir of [this.packs, this.temporary]) {
      for (const name of await readdir(dir)) {
        if (packName.test(name)) found.set(name, [...(found.get(name) ?? []), join(dir, name)]);
      }
    }
    return found;
  }

  /** Removes the pack `name` wherever it is, if it is. */
  async removePack(name: string): Promise<void> {
    await rm(this.temporaryPath(name), { force: true });
    await rm(this.packPath(name), { force: true });
  }

  /** Makes renames into packs/ durable. */
  async syncPacks(): Promise<void> {
    const directory = await open(this.packs);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
