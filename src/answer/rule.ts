import type { ValueRule } from './value.js';

/**
 * Which installer reads an answer file: that of XCP-ng 8.2 and 8.3, or XenServer's of 2026. They agree on most; what
 * one knows and the other passes over in silence has a `release`.
 */
export type Release = 'xcp-ng-8' | 'xenserver-2026';

/** What the installer is to do: the root element and its `mode`. */
export type Mode = 'fresh' | 'reinstall' | 'upgrade' | 'restore';

/** How often an element may stand in its parent. */
export type Times = 'once' | 'optional' | 'any' | 'some';

/** An attribute that an element may have. */
export interface AttributeRule {
  readonly value: ValueRule;
  readonly required?: boolean;
  readonly release?: Release;
}

/** An element that may stand somewhere. */
export interface ElementRule {
  readonly times: Times;
  readonly modes?: readonly Mode[]; // default all
  readonly release?: Release; // default both
  readonly attributes?: Readonly<Record<string, AttributeRule>>;
  readonly children?: Readonly<Record<string, ElementRule>>;
  readonly text?: ValueRule | 'free'; // default none; 'free': what the other rules say
  readonly aliasOf?: string; // another name of that element; counted with it
}
