import type { Row } from '../ratio-table.js';
import { benchNodes } from './nodes.js';

/** Measures what an xCAT site does: nodes by the ten thousand. */
export async function benchXcat(directory: string, say: (line: string) => void): Promise<Row[]> {
  return benchNodes(directory, say);
}
