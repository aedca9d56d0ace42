import { expect, it } from 'vitest';
import type { EngineEntry, SizePlan } from '~/api/schema';
import { bodyOf, chosen, nameFault, nodesOf, priceText, sizeText } from './create';

const engine = (name: string, available = true): EngineEntry =>
  ({ name, available, versions: available ? ['17', '15'] : [], modes: ['single', 'primary-replica'] }) as EngineEntry;

it.each(['ab', 'Shop', '1shop', 'shop-', 'a'.repeat(41), 'sh op', '<script>'])('%s is no name', (name) => {
  expect(nameFault(name, [], 'default')).toMatch(/^Use 3 to 40/);
});

it('names what is taken, and lets the rest be', () => {
  expect(nameFault('shop', ['shop'], 'default')).toBe('shop exists in default already.');
  expect(nameFault('shop-2', ['shop'], 'default')).toBeUndefined();
});

it('never chooses what is not available, and forgives an address that does', () => {
  const engines = [engine('mysql', false), engine('postgres')];
  const choice = chosen({ engine: 'mysql', version: '99', mode: 'sharded' }, engines)!;
  expect([choice.engine.name, choice.version, choice.mode, choice.replicas]).toEqual(['postgres', '17', 'primary-replica', 1]);
  expect(chosen({}, [engine('mysql', false)])).toBeUndefined();
});

it('asks for no replicas of a single node', () => {
  const choice = chosen({ mode: 'single', replicas: 3 }, [engine('postgres')])!;
  expect(bodyOf(choice, 'shop', false)).toEqual({ name: 'shop', engine: 'postgres', version: '17', mode: 'single', auto_failover: false });
});

it('says the size, and the price of all nodes by the hour and the month', () => {
  const choice = chosen({ replicas: 2 }, [engine('postgres')])!;
  expect(nodesOf(choice)).toBe(3);
  expect(priceText(0.0137, nodesOf(choice))).toBe('0.0411/h · 30/month (730 h)');
  expect(priceText(0.5, 1)).toBe('0.5/h · 365/month (730 h)');
  expect(priceText(0, 3)).toBe('0/h · 0/month (730 h)');
  expect(sizeText({ cpus: 1, memory_bytes: 2e9, storage_bytes: 80e9 } as SizePlan)).toBe('1 CPU, 2 GB memory, 80 GB disk');
});
