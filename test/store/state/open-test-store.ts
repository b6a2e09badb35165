import type { ExecutionContext } from 'ava';
import type { Site } from '../../../src/site/site.js';
import type { Store } from '../../../src/store/records.js';
import type { StoreOptions } from '../../../src/store/store.js';

/** Opens the store of a new, empty site whose state is in the database under test; both go with the test. */
export type OpenTestStore = (
  t: ExecutionContext,
  options?: StoreOptions,
) => Promise<{ site: Site; store: Store }>;
