import type { Release } from './rule.js';

/** The installer that a product comes with, as its install tree names it; a tree that does not say so counts as XCP-ng 8. */
export function releaseOf(product: { readonly name: string; readonly version: string } | undefined): Release {
  if (product === undefined) return 'xcp-ng-8';
  const major = Number.parseInt(product.version, 10);
  return Number.isNaN(major) || major <= 8 ? 'xcp-ng-8' : 'xenserver-2026';
}
