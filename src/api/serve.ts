import { isIPv4 } from 'node:net';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { messageOf } from '../errors.js';
import { loadRunKey } from '../node/run-token.js';
import { createBootService, type BootService } from '../pxe/boot/service.js';
import { bootTftpFiles, tftpStage } from '../pxe/boot/tftp-files.js';
import { probeAddress } from '../pxe/dhcp/arping.js';
import { describePlace, startDhcpServer } from '../pxe/dhcp/server.js';
import { nodeAt } from '../pxe/http/boot-script-routes.js';
import type { Route } from '../pxe/http/route.js';
import { withLeasedAddresses } from '../pxe/leased-nodes.js';
import { readCertificate, type Certificate } from '../pxe/http/certificate.js';
import { httpLimitsOf, listenHttp, listenHttps, type HttpsListener } from '../pxe/http/server.js';
import { neighbourMac } from '../pxe/tftp/neighbours.js';
import { startTftpServer, type TftpTransferEvent } from '../pxe/tftp/server.js';
import { startXcatReports } from '../pxe/xcat-report/server.js';
import { loadApiToken } from '../site/api-token.js';
import { httpUrl, type SiteConfig } from '../site/config.js';
import { parseListen, parsePorts } from '../site/listen.js';
import { openSite, type Site } from '../site/site.js';
import type { Store } from '../store/records.js';
import { allRoutes, createApp } from './app.js';
import { dhcpDirectory } from './dhcp-directory.js';
import { DhcpHistory } from './dhcp-history.js';
import { ReloadableDhcp } from './dhcp-reload.js';
import { checkBoot } from './doctor.js';
import { startPruning } from './history-pruning.js';
import { Metrics } from './metrics.js';
import { writeGate } from './write-gate.js';

export interface ServeOptions {
  readonly site: Site;
  readonly store: Store;
  readonly log: Logger;
  readonly now?: () => number; // milliseconds since the epoch
  /** More URLs, such as those that write ISOs. */
  readonly moreRoutes?: (service: BootService) => readonly Route[];
}

/** Servers that are running. */
export interface RunningServers {
  readonly url: string; // how nodes reach HTTP, without a final slash
  readonly service: BootService;
  readonly tftpPort: number | null;
  readonly xcatPort: number | null; // where xCAT's nodes report
  readonly httpsPort: number | null;
  /** What is listened on and answered, one line each, for the terminal. */
  readonly announcement: readonly string[];
  /**
   * Reads the certificate again, where there is HTTPS, and `dhcp` of rackboot.yaml. What is unusable is logged, and what was
   * there before stays.
   */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts HTTP, HTTPS, TFTP and DHCP as rackboot.yaml says. Throws PxeError, having stopped what was started, when a port is in
 * use or needs rights.
 */
export async function startServers(options: ServeOptions): Promise<RunningServers> {
  const { site, store, log } = options;
  const { config } = site;
  const stops: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
  };
  let url = httpUrl(config);
  let xcatPort: number | null = null;
  const service = createBootService({
    store: withLeasedAddresses(store, options.now ?? Date.now),
    config,
    runKey: await loadRunKey(site.dir),
    log,
    holder: `${hostname()}:${process.pid}`,
    now: options.now ?? Date.now,
    serverUrl: () => url,
  });
  const gate = writeGate(await loadApiToken(site.dir));
  const metrics = new Metrics();
  try {
    const routes = allRoutes(service, metrics, gate, options.moreRoutes?.(service));
    const listen = parseListen(config.http.listen);
    stops.push(() => service.transfers.flush());
    const app = createApp(routes, service, metrics);
    const http = await listenHttp(app, listen.host, listen.port, httpLimitsOf(config.http));
    stops.push(() => http.close());
    url = httpUrl(config, http.port);
    const announcement = [
      `HTTP on ${http.address}:${http.port}; nodes reach it at ${url}, the page is at ${url}/`,
    ];

    const https =
      config.http.tls === undefined ? undefined : await startHttps(site, config.http.tls, app, log);
    if (https !== undefined) {
      stops.push(() => https.close());
      announcement.push(`HTTPS on ${https.address}:${https.port}, with a certificate until ${https.validTo}`);
    }

    const tftp =
      config.tftp.listen === 'off' ? undefined : await startTftp(service, metrics, config.tftp.listen);
    if (tftp !== undefined) stops.push(() => tftp.close());
    announcement.push(
      tftp === undefined
        ? 'TFTP is off (tftp.listen)'
        : `TFTP on ${config.tftp.listen.replace(/:\d+$/, '')}:${tftp.port}`,
    );

    if (config.xcat.reports !== 'off') {
      const { host, port } = parseListen(config.xcat.reports);
      const reports = await startXcatReports(service, host, port);
      stops.push(() => reports.close());
      xcatPort = reports.port;
      announcement.push(`reports of xCAT’s nodes on ${host}:${reports.port}`);
    }

    const dhcp = await ReloadableDhcp.start({
      config,
      log,
      start: (next) => startDhcp(service, store, metrics, { url, dhcp: next }),
      read: async () => (await openSite(site.dir)).config,
    });
    stops.push(() => dhcp.close());
    announcement.push(
      ...(dhcp.answering.length === 0
        ? ['DHCP is off: nothing is answered on any interface (dhcp.interfaces)']
        : dhcp.answering.map(describePlace)),
    );
    stops.push(
      startPruning({ events: store.events, history: config.history, log, now: options.now ?? Date.now }),
    );
    for (const { state, detail, mend } of await checkBoot(config))
      if (state !== 'ok') log.warn(`${detail}; ${mend ?? 'see rackboot doctor'}`);
    return {
      url,
      service,
      tftpPort: tftp?.port ?? null,
      xcatPort,
      httpsPort: https?.port ?? null,
      announcement,
      async reload() {
        await https?.reload();
        await dhcp.reload();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startHttps(
  site: Site,
  tls: NonNullable<SiteConfig['http']['tls']>,
  app: Express,
  log: Logger,
): Promise<HttpsListener & { readonly validTo: string; readonly reload: () => Promise<void> }> {
  const read = (): Promise<Certificate> =>
    readCertificate(resolve(site.dir, tls.cert), resolve(site.dir, tls.key));
  const first = await read();
  const { host, port } = parseListen(tls.listen);
  const https = await listenHttps(app, host, port, first, httpLimitsOf(site.config.http));
  return {
    ...https,
    validTo: first.validTo,
    reload: async () => {
      try {
        const next = await read();
        https.renew(next);
        log.info(`HTTPS has a certificate until ${next.validTo}`);
      } catch (error) {
        log.error(`HTTPS keeps the certificate it has: ${messageOf(error)}`);
      }
    },
  };
}

async function startTftp(
  service: BootService,
  metrics: Metrics,
  listen: string,
): Promise<{ port: number; close(): Promise<void> }> {
  const { host, port } = parseListen(listen);
  const { tftp } = service.config;
  return startTftpServer({
    host,
    port,
    files: bootTftpFiles(service),
    log: service.log,
    ports: parsePorts(tftp.ports),
    limits: tftp.limits,
    quirks: tftp.clients,
    macsOf: (address) => macsOf(service, address),
    onTransfer(event) {
      metrics.countTftp(event.outcome);
      recordTftp(service, event).catch((error: unknown) => service.log.error(`history: ${messageOf(error)}`));
    },
    onProgress(event) {
      void Promise.all([nodeAt(service, event.client.address), tftpStage(service, event.path)])
        .then(([node, of]) => {
          if (node === undefined || of === undefined) return;
          const { path, bytes: sent, size } = event;
          service.progress.publish({ node: node.name, stage: of.stage, path, sent, size, at: service.now() });
        })
        .catch(() => undefined);
    },
  });
}

/** The MAC addresses a TFTP client may have: those of the node with its address, and what the kernel knows of it. */
async function macsOf(service: BootService, address: string): Promise<readonly string[]> {
  const node = await nodeAt(service, address);
  const seen = await neighbourMac(address);
  return [...(node?.macs ?? []), ...(seen === undefined ? [] : [seen])];
}

async function recordTftp(service: BootService, event: TftpTransferEvent): Promise<void> {
  if (event.outcome !== 'complete') return;
  const node = await nodeAt(service, event.client.address);
  const of = await tftpStage(service, event.path);
  if (node === undefined || of === undefined) return;
  await service.store.events.append({
    at: service.now(),
    node: node.name,
    stage: of.stage,
    detail: `${event.path} by TFTP`,
    bytes: event.bytes,
    ms: Math.round(event.ms),
    generation: of.generation,
    client: event.client.address,
  });
}

async function startDhcp(
  service: BootService,
  store: Store,
  metrics: Metrics,
  { url, dhcp }: { readonly url: string; readonly dhcp: SiteConfig['dhcp'] },
): ReturnType<typeof startDhcpServer> {
  const { config } = service;
  const listen = config.tftp.listen;
  const tftpHost = listen === 'off' ? undefined : parseListen(listen).host;
  const history = new DhcpHistory(store.events);
  return startDhcpServer({
    interfaces: dhcp.interfaces,
    subnets: dhcp.subnets,
    directory: dhcpDirectory(store.nodes, service.serverUrl),
    addresses: store.addresses,
    probe: dhcp.probe === 'on' ? probeAddress : undefined,
    onStranger: dhcp.unknown === 'record' ? (seen) => recordStranger(service, seen) : undefined,
    loaders: dhcp.loaders,
    menus: dhcp.menus,
    limits: dhcp.limits,
    tftpServer: tftpHost === undefined ? undefined : tftpServerAt(tftpHost),
    httpUrl: url,
    log: service.log,
    now: service.now,
    onEvents(events) {
      for (const { kind } of events) metrics.countDhcp(kind);
      history.record(events).catch((error: unknown) => service.log.error(`history: ${messageOf(error)}`));
    },
  });
}

/** Where DHCP sends nodes that listen to `host`: it can name IPv4 addresses only. */
function tftpServerAt(host: string): 'subnet' | { readonly address: string } | undefined {
  if (host === '0.0.0.0' || host === '::') return 'subnet';
  return isIPv4(host) ? { address: host } : undefined;
}

function recordStranger(service: BootService, seen: Parameters<Store['strangers']['record']>[0]): void {
  service.store.strangers
    .record(seen)
    .catch((error: unknown) => service.log.error(`strangers: ${messageOf(error)}`));
}
