import { isIP } from 'node:net';
import { httpUrl, type SiteConfig } from '../../site/config.js';
import { parseListen } from '../../site/listen.js';
import type { AssignmentRecord, NodeRecord } from '../../store/records.js';
import { PowerError } from './errors.js';

/** The URL of a node's own ISO in the form that BMCs take: it ends in .iso, has no query and is not redirected. */
export function nodeIsoUrl(config: SiteConfig, node: string): string {
  return `${httpUrl(config)}/nodes/${node}.iso`;
}

/**
 * The URL of the ISO that the BMC of `node` is to insert. Throws PowerError NO_ISO where there would be none: the node is
 * not set to an osimage, the server cannot be reached from outside, or would not send it to that BMC.
 */
export function isoToInsert(
  config: SiteConfig,
  node: NodeRecord,
  assignment: AssignmentRecord | undefined,
): string {
  if (assignment?.state !== 'osimage') {
    throw new PowerError(
      'NO_ISO',
      `it is not set to an osimage, so it has no ISO; set it with: rackboot nodeset ${node.name} osimage=NAME`,
    );
  }
  const url = nodeIsoUrl(config, node.name);
  const addresses = (node.attributes['bmc'] ?? '').split(/[\s,]+/);
  if (!addresses.some((each) => isIP(each) !== 0)) {
    throw new PowerError(
      'NO_ISO',
      `its attribute bmc is a name, and its ISO is sent to addresses only; set it with: rackboot node set ${node.name} --attr bmc=ADDRESS`,
    );
  }
  const isLocal = config.http.url === undefined && isUnreachable(parseListen(config.http.listen).host);
  if (isLocal && !addresses.some((each) => each.startsWith('127.'))) {
    throw new PowerError(
      'NO_ISO',
      `no BMC reaches ${httpUrl(config)}; say how it is reached with http.listen and http.url in rackboot.yaml`,
    );
  }
  return url;
}

function isUnreachable(host: string): boolean {
  return (
    host.startsWith('127.') || host === '::1' || host === '0.0.0.0' || host === '::' || host === 'localhost'
  );
}
