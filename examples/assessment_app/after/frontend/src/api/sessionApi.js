const check = async (response) => {
  if (!response.ok) throw new Error(`Request failed with status code ${response.status}`);
  return response.json();
};

export const whoAmI = () => fetch('/api/me').then(check);

export const login = (name, password) =>
  fetch('/api/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name, password }),
  }).then(check);

export const logout = () => fetch('/api/logout', { method: 'POST' }).then(check);
