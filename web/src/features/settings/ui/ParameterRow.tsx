import { useState } from 'react';
import { Button, Select, TextInput } from '@mantine/core';
import type { Parameter } from '~/api/schema';
import { fault, rangeOf } from '../model';
import classes from './SettingsPage.module.css';

interface Props {
  parameter: Parameter;
  /** What is set; without it the engine's default holds. */
  set?: string;
  /** What is wanted; null is back to the default. */
  draft?: string | null;
  readOnly: boolean;
  change: (value: string | null) => void;
}

export function ParameterRow({ parameter: p, set, draft, readOnly, change }: Props) {
  const [checked, setChecked] = useState(false);
  const now = set ?? p.default;
  const value = draft === undefined ? now : (draft ?? p.default);
  const error = checked && draft !== null ? fault(p, value) : undefined;
  const changed = value !== now;
  const choices = p.kind.type === 'boolean' ? ['on', 'off'] : p.kind.type === 'one_of' ? p.kind.values : undefined;
  const common = { id: `parameter-${p.name}`, 'aria-label': p.name, error, disabled: readOnly };
  return (
    <li className={classes.row} data-changed={changed || undefined}>
      <div>
        <span className={classes.name}>{p.name}</span>
        <span className={classes.dim}>{p.description}</span>
      </div>
      <div>
        {choices ? (
          <Select {...common} data={choices} value={value} allowDeselect={false} onChange={(v) => v && change(v)} />
        ) : (
          <TextInput {...common} value={value} onChange={(e) => change(e.currentTarget.value)} onBlur={() => setChecked(true)} spellCheck={false} autoComplete="off" />
        )}
        <span className={classes.dim}>
          {changed ? `was ${now}; ` : ''}
          {choices ? `default ${p.default}` : `${rangeOf(p)}; default ${p.default}`}
        </span>
      </div>
      <span className={classes.dim}>{p.needs_restart ? 'restart' : 'at once'}</span>
      {(set !== undefined || changed) && !readOnly ? (
        <Button variant="subtle" size="compact-sm" aria-label={`Reset ${p.name}`} onClick={() => change(null)}>
          Reset
        </Button>
      ) : (
        <span />
      )}
    </li>
  );
}
