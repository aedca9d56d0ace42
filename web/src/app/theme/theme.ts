import { createTheme, type MantineColorsTuple } from '@mantine/core';
import focus from './focus.module.css';

const tuple = (text: string) => text.split(' ').map((c) => `#${c}`) as unknown as MantineColorsTuple;

export const theme = createTheme({
  primaryColor: 'accent',
  primaryShade: { light: 7, dark: 6 },
  colors: {
    accent: tuple('e8f0fc d3e2f9 a9c7f3 6fa8ff 5693ea 3f80e0 2a6cd0 1f5fbf 194e9e 143f80'),
    danger: tuple('fdeae8 fbd3d0 f5aaa4 ff8577 e9685d d9483d c93a30 c02420 931d17 741611'),
    gray: tuple('f6f7f9 eef0f3 dfe3e8 cbd2d9 b3bcc5 93a0ac 7c8794 56606b 38414a 1a2027'),
    dark: tuple('e7ebef cdd4db a3adb8 6f7b88 2b333c 262d35 1e242b 171c22 0f1317 0b0e11'),
  },
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace',
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.25rem' },
  lineHeights: { xs: '1rem', sm: '1.25rem', md: '1.25rem', lg: '1.5rem', xl: '1.75rem' },
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.25rem', lineHeight: '1.75rem' },
      h2: { fontSize: '1rem', lineHeight: '1.5rem' },
      h3: { fontSize: '0.875rem', lineHeight: '1.25rem' },
    },
  },
  spacing: { xs: '4px', sm: '8px', md: '16px', lg: '24px', xl: '40px' },
  radius: { xs: '4px', sm: '6px', md: '8px', lg: '8px', xl: '999px' },
  defaultRadius: 'sm',
  shadows: { xs: 'none', sm: 'none', md: 'var(--ms-shadow)', lg: 'var(--ms-shadow)', xl: 'var(--ms-shadow)' },
  cursorType: 'pointer',
  autoContrast: false,
  respectReducedMotion: true,
  focusClassName: focus.ring,
  components: {
    Button: { defaultProps: { size: 'sm', fw: 500 } },
    Tooltip: { defaultProps: { openDelay: 300, events: { hover: true, focus: true, touch: true }, multiline: true, maw: 320 } },
    // The head of a layer is no second banner of the page.
    Modal: { defaultProps: { centered: true, size: 520, transitionProps: { duration: 120 }, attributes: { header: { role: 'none' } } } },
    Drawer: { defaultProps: { attributes: { header: { role: 'none' } } } },
    Menu: { defaultProps: { position: 'bottom-end', shadow: 'md', width: 220 } },
    Popover: { defaultProps: { shadow: 'md' } },
  },
});
