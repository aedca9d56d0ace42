import type { Credentials } from '~/api/schema';

/** How clients connect, in words they can paste. */
export type Kind = 'url' | 'shell' | 'python' | 'node' | 'go' | 'java' | 'env';

export interface Snippet {
  kind: Kind;
  label: string;
  text: string;
}

type Login = Omit<Credentials, 'url'>;

/** What stands where the password would be while it is not shown. */
export const HIDDEN = '••••••••';

const enc = (text: string) => (text === HIDDEN ? HIDDEN : encodeURIComponent(text));

function sql({ user, password, host, port, database }: Login): Snippet[] {
  const db = database ?? user;
  const url = `postgresql://${enc(user)}:${enc(password)}@${bracketed(host)}:${port}/${enc(db)}`;
  return [
    { kind: 'url', label: 'URL', text: url },
    { kind: 'shell', label: 'psql', text: `psql '${url}'` },
    { kind: 'python', label: 'Python', text: `import psycopg\n\nwith psycopg.connect("${url}") as connection:\n    print(connection.execute("select 1").fetchone())` },
    { kind: 'node', label: 'Node', text: `import pg from 'pg';\n\nconst client = new pg.Client({ connectionString: '${url}' });\nawait client.connect();` },
    { kind: 'go', label: 'Go', text: `conn, err := pgx.Connect(ctx, "${url}")` },
    { kind: 'java', label: 'Java', text: `DriverManager.getConnection(\n    "jdbc:postgresql://${bracketed(host)}:${port}/${db}", "${user}", "${password}");` },
    { kind: 'env', label: '.env', text: `PGHOST=${host}\nPGPORT=${port}\nPGUSER=${user}\nPGPASSWORD=${password}\nPGDATABASE=${db}` },
  ];
}

function redis({ user, password, host, port }: Login): Snippet[] {
  const url = `redis://${enc(user)}:${enc(password)}@${bracketed(host)}:${port}`;
  return [
    { kind: 'url', label: 'URL', text: url },
    { kind: 'shell', label: 'redis-cli', text: `redis-cli -u '${url}'` },
    { kind: 'python', label: 'Python', text: `import redis\n\nclient = redis.from_url("${url}")\nprint(client.ping())` },
    { kind: 'node', label: 'Node', text: `import { createClient } from 'redis';\n\nconst client = createClient({ url: '${url}' });\nawait client.connect();` },
    { kind: 'go', label: 'Go', text: `options, err := redis.ParseURL("${url}")\nclient := redis.NewClient(options)` },
    { kind: 'java', label: 'Java', text: `JedisPooled client = new JedisPooled("${url}");` },
    { kind: 'env', label: '.env', text: `REDIS_URL=${url}` },
  ];
}

const bracketed = (host: string) => (host.includes(':') ? `[${host}]` : host);

export function snippets(engine: string, login: Login): Snippet[] {
  if (['redis', 'valkey', 'keydb', 'dragonfly'].includes(engine)) return redis(login);
  if (['postgres', 'timescaledb', 'hydra'].includes(engine)) return sql(login);
  return [{ kind: 'url', label: 'Address', text: `${bracketed(login.host)}:${login.port}` }];
}

/** The user and database before anybody looked: the role of PostgreSQL is named after the cluster. */
export function guessed(engine: string, cluster: string, host: string, port: number): Login {
  const user = ['redis', 'valkey', 'keydb', 'dragonfly'].includes(engine) ? 'default' : cluster.replaceAll('-', '_');
  return { user, password: HIDDEN, host, port, database: user };
}
