/** Two live regions that are there from the start; screen readers ignore those that come with their text. */
type Region = 'polite' | 'assertive';

export function say(text: string, region: Region = 'polite') {
  const place = document.getElementById(`ms-live-${region}`);
  if (!place) return;
  // The same words again are told again only where the region was empty in between.
  place.textContent = '';
  setTimeout(() => {
    place.textContent = text;
  }, 50);
}
