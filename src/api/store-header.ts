import { sha256 } from '../store/digest.js';
import type { Store } from '../store/records.js';

/** The header by which /healthz says which store is served: another site's server may answer at a site's address. */
export const STORE_HEADER = 'Rackboot-Store';

/** What that header holds for a store: the same from every server of a site. */
export async function storeTag(store: Store): Promise<string> {
  return sha256(await store.identity()).slice(0, 16);
}
