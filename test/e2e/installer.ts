import { LabSite, type LabNode } from './lab-site.js';

export { detailOf, orderOf, type LabNode } from './lab-site.js';

/** Debian's network installer, as its package ships it. */
export const installerMedia = '/usr/lib/debian-installer/images/12/amd64/text';

/** Debian's network installer, imported as `d12` with its layer applied, on a site that serves a lab. */
export function openInstallerSite(nodes: readonly LabNode[]): Promise<LabSite> {
  return LabSite.open(nodes, async (site) => {
    await site.rackboot('image', 'import', installerMedia, '--name', 'd12');
    await site.rackboot('image', 'build', 'd12', '--layers', 'debian-installer');
  });
}
