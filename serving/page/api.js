/** Requests to this server, with the token if it wants one, and refusals in its own words. */

import * as token from './token.js';

/** What the server (or the way to it) refused. `message` is fit to be shown. */
export class ApiError extends Error {
  /** @param {string} message @param {number} status 0: no answer at all @param {number} wait seconds, as the server asks */
  constructor(message, status, wait = 0) {
    super(message);
    this.name = 'ApiError';
    /** Seconds until the same request may go better; null: it will not. */
    this.wait = status >= 500 || [0, 401, 408, 429].includes(status) ? wait : null;
  }
}

/**
 * @param {string} path
 * @param {{method?: string, body?: BodyInit, headers?: Object<string, string>, signal?: AbortSignal}} options
 * @returns {Promise<Response>} a response that is ok. Throws ApiError, or AbortError when `signal` fired.
 */
export async function request(path, { method = 'GET', body, headers = {}, signal } = {}) {
  for (;;) {
    const held = token.held();
    const authorization = held ? { Authorization: `Bearer ${held}` } : {};
    const response = await send(path, { method, body, headers: { ...headers, ...authorization }, signal });
    if (response.ok) return response;
    if (response.status !== 401) throw await refusal(response);
    // Another request may have brought a token while this one was on its way.
    if (held === token.held() && !(await token.ask(held !== ''))) throw await refusal(response);
    signal?.throwIfAborted();
  }
}

/** The answer's JSON. */
export async function json(path, options) {
  return (await request(path, options)).json();
}

/** The answer to a JSON body. */
export function post(path, value, options = {}) {
  const headers = { 'Content-Type': 'application/json' };
  return json(path, { ...options, method: 'POST', headers, body: JSON.stringify(value) });
}

async function send(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(`No answer from ${location.host}: is the server running, and is the network up?`, 0);
  }
}

async function refusal(response) {
  const text = await response.text();
  return new ApiError(said(text) ?? `The server answered ${response.status} without a reason.`, response.status,
    seconds(response.headers.get('Retry-After')));
}

/** `error` of a JSON answer, or what else stands in it. */
function said(text) {
  try {
    const value = JSON.parse(text);
    return typeof value.error === 'string' ? value.error : JSON.stringify(value);
  } catch {
    return text.trim() ? text.slice(0, 500) : null;
  }
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function seconds(header) {
  if (header === null) return 0;
  const value = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(value) ? Math.max(0, Math.ceil(value)) : 0;
}
