import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { shell } from '../measure.js';

/** Programs of Debian that were unpacked, not installed: some exclude each other, and installed ones start at once. */
export interface DebianPeers {
  /** The command line that runs the program at `file` (`usr/sbin/…`) of them. */
  command(file: string, ...args: readonly string[]): readonly string[];
}

/** Fetches `packages`, and the libraries they want that Debian does not always have, into `directory`. */
export async function unpackPeers(directory: string, packages: readonly string[]): Promise<DebianPeers> {
  const root = path.join(directory, 'debian');
  await mkdir(root, { recursive: true });
  await shell(
    `apt-get download -q -o APT::Sandbox::User=root ${packages.join(' ')} >&2 && for file in *.deb; do dpkg-deb -x "$file" .; done`,
    root,
  );
  const files = await readdir(root, { recursive: true });
  const libraries = files
    .filter((file) => /\.so\.\d+$/.test(file))
    .map((file) => path.join(root, path.dirname(file)));
  const search = [...new Set(libraries)].join(':');
  return {
    command: (file, ...args) => ['env', `LD_LIBRARY_PATH=${search}`, path.join(root, file), ...args],
  };
}
