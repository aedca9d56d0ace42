const browsers: readonly (readonly [RegExp, string])[] = [
  [/Edg\/(\d+)/, 'Edge'],
  [/Firefox\/(\d+)/, 'Firefox'],
  [/Chrome\/(\d+)/, 'Chrome'],
  [/Version\/(\d+).*Safari/, 'Safari'],
];
const systems: readonly (readonly [RegExp, string])[] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
];

/** "Firefox 140 on Linux": what people call it; what is not known is shown as it is. */
export function browserName(agent: string): string {
  const found = browsers.map(([test, name]) => ({ name, hit: test.exec(agent) })).find((b) => b.hit);
  if (!found?.hit) return agent || 'Unknown browser';
  const system = systems.find(([test]) => test.test(agent))?.[1];
  return `${found.name} ${found.hit[1]}${system ? ` on ${system}` : ''}`;
}
