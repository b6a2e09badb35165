import type { Row } from '../ratio-table.js';
import { benchImages } from './images.js';
import { benchNodes } from './nodes.js';

/** Measures what an xCAT site does: stateless images changed and packed, and nodes by the ten thousand. */
export async function benchXcat(directory: string, say: (line: string) => void): Promise<Row[]> {
  return [...(await benchImages(directory, say)), ...(await benchNodes(directory, say))];
}
