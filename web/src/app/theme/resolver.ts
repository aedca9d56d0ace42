import type { CSSVariablesResolver } from '@mantine/core';
import { variables } from './tokens';

/** Points Mantine's own variables at ours, so that one table decides. */
const pointed: Record<string, string> = {
  '--mantine-color-body': 'var(--ms-bg)',
  '--mantine-color-text': 'var(--ms-text)',
  '--mantine-color-dimmed': 'var(--ms-dim)',
  '--mantine-color-anchor': 'var(--ms-accent)',
  '--mantine-color-placeholder': 'var(--ms-dim)',
  '--mantine-color-error': 'var(--ms-bad-text-ink)',
  '--mantine-color-default': 'var(--ms-surface)',
  '--mantine-color-default-hover': 'var(--ms-hover)',
  '--mantine-color-default-color': 'var(--ms-text)',
  '--mantine-color-default-border': 'var(--ms-control)',
  '--mantine-color-accent-filled': 'var(--ms-fill)',
  '--mantine-color-accent-filled-hover': 'var(--ms-fill-hover)',
  '--mantine-color-accent-text': 'var(--ms-accent)',
  '--mantine-color-accent-light-color': 'var(--ms-accent)',
  '--mantine-color-danger-filled': 'var(--ms-danger-fill)',
  '--mantine-color-danger-filled-hover': 'var(--ms-danger-fill-hover)',
  '--mantine-color-danger-text': 'var(--ms-bad-text-ink)',
  '--mantine-color-danger-light-color': 'var(--ms-bad-text-ink)',
  '--mantine-primary-color-filled-hover': 'var(--ms-fill-hover)',
};

export const resolver: CSSVariablesResolver = () => ({
  variables: {},
  light: { ...variables(false), ...pointed },
  dark: { ...variables(true), ...pointed },
});
