import { stat } from 'node:fs/promises';
import path from 'node:path';
import { isRootImage, ROOT_TREE, STATELESS_NEEDS } from '../family/xcat.js';
import { localFile } from './directory.js';
import { rootTree } from './root-tree.js';
import type { SourceFile } from './source.js';

/**
 * The files of the stateless image that `local` is the root image of, packed or as the tree `rootimg/`: with the kernel and
 * the initrd beside it. Undefined when these are not there, or it is no root image by its name.
 */
export async function statelessAround(
  local: string,
  isDirectory: boolean,
): Promise<SourceFile[] | undefined> {
  const whole = path.resolve(local);
  const name = path.basename(whole);
  if (isDirectory ? name !== ROOT_TREE : !isRootImage(name)) return undefined;
  const beside = async (wanted: string): Promise<SourceFile | undefined> => {
    const place = path.join(path.dirname(whole), wanted);
    const info = await stat(place).catch(() => undefined);
    return info?.isFile() === true ? localFile(wanted, place, info.size) : undefined;
  };
  const kernel = await beside(STATELESS_NEEDS.kernel);
  const initrds = await Promise.all(STATELESS_NEEDS.initrds.map(beside));
  const initrd = initrds.find((found) => found !== undefined);
  if (kernel === undefined || initrd === undefined) return undefined;
  const archive = isDirectory ? await rootTree(whole, name) : await beside(name);
  return archive === undefined ? undefined : [kernel, initrd, archive];
}
