import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { codeOf } from '../../errors.js';
import type { Site } from '../../site/site.js';
import type { NodeRecord } from '../../store/records.js';
import type { PowerControl } from './control.js';
import { type Credentials, credentialsOf, type CredentialsFile, readCredentials } from './credentials.js';
import { PowerError } from './errors.js';
import { ipmiControl } from './ipmi.js';
import type { Trust } from './redfish/certificate.js';
import { RedfishClient } from './redfish/client.js';
import { RedfishControl } from './redfish/power.js';
import { type ControlSettings, controlSettings } from './settings.js';
import { sshControl } from './ssh.js';

/** Opens what switches a site's machines. Passwords and authorities are read once, when the first machine needs them. */
export class PowerDesk {
  #credentials: Promise<CredentialsFile | undefined> | undefined;
  #authorities: Promise<string | undefined> | undefined;

  constructor(private readonly site: Pick<Site, 'dir' | 'config'>) {}

  /** What switches `node`, as its attributes say; the caller closes it. Nothing is connected yet. Throws PowerError. */
  async open(node: NodeRecord, signal: AbortSignal): Promise<PowerControl> {
    const settings = controlSettings(node);
    const { power } = this.site.config;
    switch (settings.kind) {
      case 'ipmi': {
        const options = { ...power.ipmi, retries: power.retries };
        return ipmiControl(settings.at, await this.#credentialsOf(node), options, signal);
      }
      case 'redfish':
        return this.#openRedfish(node, settings, signal);
      case 'ssh': {
        const { user, keys, knownHosts, reboot, poweroff } = power.ssh;
        const agent = process.env['SSH_AUTH_SOCK'];
        const options = {
          timeoutMs: power.timeout * 1000,
          ...(keys === undefined ? {} : { keys: keys.map((file) => this.#path(file)) }),
          ...(knownHosts === undefined ? {} : { knownHosts: [this.#path(knownHosts)] }),
          ...(agent === undefined || agent === '' ? {} : { agent }),
        };
        const target = { ...settings.at, user: settings.user ?? user };
        return sshControl(target, options, { reboot, poweroff }, signal);
      }
    }
  }

  /** The Redfish service of `node`, whose virtual drive is wanted; the caller closes it. Throws PowerError. */
  async openRedfish(node: NodeRecord, signal: AbortSignal): Promise<RedfishControl> {
    const settings = controlSettings(node);
    if (settings.kind === 'redfish') return this.#openRedfish(node, settings, signal);
    throw new PowerError(
      'UNSUPPORTED',
      `virtual media takes Redfish, and it is controlled by ${settings.kind}; where its BMC speaks both: rackboot node set ${node.name} --attr power=redfish`,
    );
  }

  async #openRedfish(
    node: NodeRecord,
    { at, fingerprint, system }: Extract<ControlSettings, { kind: 'redfish' }>,
    signal: AbortSignal,
  ): Promise<RedfishControl> {
    const { redfish, retries } = this.site.config.power;
    const trust: Trust =
      fingerprint !== undefined
        ? { kind: 'pinned', fingerprint }
        : redfish.certificates === 'any'
          ? { kind: 'any' }
          : { kind: 'authority', ca: await (this.#authorities ??= this.#readAuthorities()) };
    const options = { auth: redfish.auth, trust, retries };
    const client = new RedfishClient(at, await this.#credentialsOf(node), options, signal);
    return new RedfishControl(client, { uuid: node.uuid, serial: node.serial, id: system }, signal);
  }

  async #credentialsOf(node: NodeRecord): Promise<Credentials> {
    const { credentials } = this.site.config.power;
    this.#credentials ??=
      credentials === undefined ? Promise.resolve(undefined) : readCredentials(this.#path(credentials));
    return credentialsOf(node, await this.#credentials);
  }

  async #readAuthorities(): Promise<string | undefined> {
    const { ca } = this.site.config.power.redfish;
    if (ca === undefined) return undefined;
    const file = this.#path(ca);
    const text = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new PowerError(
        'BAD_CERTIFICATE',
        `${file}: cannot be read (${codeOf(cause) ?? 'unknown error'}); power.redfish.ca names it`,
      );
    });
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    throw new PowerError(
      'BAD_CERTIFICATE',
      `${file}: holds no certificate in PEM; power.redfish.ca names it`,
    );
  }

  #path(file: string): string {
    return resolve(this.site.dir, file);
  }
}
