import * as z from 'zod';

const file = z.string().min(1);

function between(least: number, most: number, unit = ''): z.ZodInt {
  const words = `must be a whole number${unit} from ${least} to ${most}`;
  return z.int(words).min(least, words).max(most, words);
}

/** `power`: how machines are switched on and off, and their virtual drives filled. */
export const power = z.strictObject({
  credentials: file
    .optional()
    .describe(
      'File of the passwords of BMCs, of mode 600; below the site unless absolute. Its form is in docs/power.md',
    )
    .meta({ examples: ['bmc-passwords.yaml'] }),
  parallel: between(1, 1024).default(32).describe('Machines that are spoken to at one time'),
  stagger: z
    .number()
    .min(0, 'must be 0 seconds or more')
    .max(600, 'must be at most 600 seconds')
    .default(0)
    .describe('Seconds between two machines that are switched on or reset; 0.5 is two each second'),
  timeout: between(1, 3600, ' of seconds')
    .default(60)
    .describe('How long one machine may take for one command, in seconds'),
  retries: between(0, 10).default(2).describe('How often a BMC that does not answer is asked again'),
  ipmi: z
    .strictObject({
      privilege: z
        .enum(['ADMINISTRATOR', 'OPERATOR'])
        .default('ADMINISTRATOR')
        .describe('What users of BMCs are let in as; OPERATOR is enough for power'),
      cipher: between(1, 17)
        .optional()
        .describe('The cipher suite, for a BMC that does not say which it has; 3 for old ones')
        .meta({ examples: [17] }),
    })
    .prefault({})
    .describe('IPMI over the network (RMCP+), which ipmitool speaks'),
  redfish: z
    .strictObject({
      ca: file
        .optional()
        .describe(
          'File of the authorities of the BMCs’ certificates, PEM; below the site unless absolute; without it the system’s',
        )
        .meta({ examples: ['tls/bmc-ca.pem'] }),
      certificates: z
        .enum(['check', 'any'])
        .default('check')
        .describe(
          'any: certificates are not looked at, and whoever answers gets the password. A node’s attribute bmcfingerprint pins its own',
        ),
      auth: z
        .enum(['session', 'basic'])
        .default('session')
        .describe('session: log in and out where a BMC has sessions, else basic'),
    })
    .prefault({})
    .describe('Redfish, over HTTPS'),
  ssh: z
    .strictObject({
      user: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, 'must be a user name')
        .default('root')
        .describe('Who logs in to the machine itself'),
      keys: z
        .array(file)
        .optional()
        .describe(
          'Files of private keys; below the site unless absolute; without it the agent’s and ssh’s own',
        )
        .meta({ examples: [['ssh/id_ed25519']] }),
      knownHosts: file
        .optional()
        .describe('File of the machines’ host keys; below the site unless absolute; without it ssh’s own')
        .meta({ examples: ['ssh/known_hosts'] }),
      reboot: z.string().min(1).default('reboot').describe('What reset runs there'),
      poweroff: z.string().min(1).default('poweroff').describe('What softoff runs there'),
    })
    .prefault({})
    .describe('Machines without a BMC: their own system, by ssh'),
});
