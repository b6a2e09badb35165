import { writeFile } from 'node:fs/promises';
import { initSite } from '../site/init.js';
import { configFile } from '../site/site.js';
import { openSite, type Site } from '../site/site.js';
import { join } from 'node:path';
import { bridge, serverAddress, serverNetwork } from './namespace.js';

/** The node of the demo. */
export const demoNode = { name: 'n1', mac: '52:54:00:77:00:11', ip: '10.77.0.11' } as const;

/** A site in `dir` whose servers answer in the lab, and nowhere else. */
export async function makeDemoSite(dir: string): Promise<Site> {
  await initSite(dir);
  await writeFile(
    join(dir, configFile),
    `name: demo
http:
  listen: ${serverAddress}:8080
tftp:
  listen: ${serverAddress}:69
dhcp:
  interfaces: { ${bridge}: authoritative }
  subnets:
    - network: ${serverNetwork}
      server: ${serverAddress}
      routers: [${serverAddress}]
      nameServers: [${serverAddress}]
      domain: rack.example
`,
  );
  return openSite(dir);
}

/** The same site for a process outside the lab: HTTP on loopback, no DHCP and no TFTP. */
export function outsideLab(site: Site, listen: string): Site {
  const { config } = site;
  return {
    ...site,
    config: {
      ...config,
      http: { listen, limits: {} },
      tftp: { ...config.tftp, listen: 'off' },
      dhcp: { ...config.dhcp, interfaces: {} },
    },
  };
}
