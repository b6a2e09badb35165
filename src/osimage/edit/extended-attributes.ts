import { spawn } from 'node:child_process';
import type { ExtendedAttributes } from '../../image/edit.js';
import type { ArchivePath } from '../../image/cpio/path.js';
import { onDisk } from '../../image/unpacked/unpack.js';

/** Attributes that this machine gives files by itself, for its own policy or file systems: not a command's work. */
const OWN = /^(?!user\.|trusted\.(?!overlay\.)|security\.capability$|system\.posix_acl_(access|default)$)/;

/** Reads NUL-separated paths, prints of each, in order, its attributes as a line of JSON; values in base64. */
const LISTER = `
import base64, json, os, sys
for path in sys.stdin.buffer.read().split(b"\\0")[:-1]:
    found = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            found[name] = base64.b64encode(os.getxattr(path, name, follow_symlinks=False)).decode()
    except OSError:
        pass
    print(json.dumps(found))
`;

/**
 * The extended attributes, ACLs and capabilities of files below the directory `root`, of those that have any; undefined
 * when they cannot be read, for want of python3.
 */
export async function readAttributes(
  root: string,
  paths: readonly ArchivePath[],
): Promise<ReadonlyMap<ArchivePath, ExtendedAttributes> | undefined> {
  const found = new Map<ArchivePath, ExtendedAttributes>();
  if (paths.length === 0) return found;
  const child = spawn('python3', ['-I', '-c', LISTER], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('close', (status) => resolve(status === 0));
  });
  child.stdin.on('error', () => undefined); // it has gone, which its status says
  child.stdin.end(Buffer.concat(paths.flatMap((path) => [onDisk(root, path), Buffer.from([0])])));
  let text = '';
  for await (const chunk of child.stdout) text += (chunk as Buffer).toString('latin1');
  if (!(await ended)) return undefined;
  const lines = text.split('\n');
  for (const [at, path] of paths.entries()) {
    const all = JSON.parse(lines[at] ?? '{}') as Record<string, string>;
    const values = Object.entries(all).filter(([name]) => !OWN.test(name));
    if (values.length === 0) continue;
    found.set(
      path,
      Object.fromEntries(
        values.map(([name, value]) => [name, valueOf(name, Buffer.from(value, 'base64')).toString('latin1')]),
      ),
    );
  }
  return found;
}

/** Revisions of file capabilities (Linux, uapi/linux/capability.h: vfs_ns_cap_data). */
const REVISION_2 = 0x0200_0000;
const REVISION_3 = 0x0300_0000;
const REVISION_MASK = 0xff00_0000;
const LENGTH_2 = 20; // bytes; revision 3 appends the user that is root in the namespace

/** An attribute as it is outside of the user namespace it was set in: capabilities name root there. */
function valueOf(name: string, bytes: Buffer): Buffer {
  if (name !== 'security.capability' || bytes.length <= LENGTH_2) return bytes;
  const magic = bytes.readUInt32LE(0);
  if ((magic & REVISION_MASK) >>> 0 !== REVISION_3) return bytes;
  const plain = Buffer.from(bytes.subarray(0, LENGTH_2));
  plain.writeUInt32LE(((magic & ~REVISION_MASK) | REVISION_2) >>> 0, 0);
  return plain;
}
