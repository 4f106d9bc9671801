-- What people wrote in a privacy request, and what was answered, stays while an active hold covers it. A hold for a
-- period covers the whole conversation, as in retention/cleaning.py. Nobody edits these words, so a refusal tells no
-- customer of a hold; adding an answer or a message is refused to nobody.

CREATE FUNCTION public.refuse_held_requests(concerned uuid[]) RETURNS void LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    governed uuid;
BEGIN
    IF cardinality(concerned) = 0 THEN
        RETURN;
    END IF;
    PERFORM 1 FROM public.accounts_account a WHERE a.id = ANY(concerned) ORDER BY a.id FOR UPDATE;
    SELECT h.account_id INTO governed FROM public.retention_hold h
     WHERE h.account_id = ANY(concerned) AND (h.covers_until IS NULL OR h.covers_until > clock_timestamp())
       AND (cardinality(h.categories) = 0 OR 'support' = ANY(h.categories)) AND NOT 'support' = ANY(h.already_gone)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'account %: words of privacy requests are governed and stay', governed USING ERRCODE = 'PH001';
    END IF;
END $guard$;
REVOKE ALL ON FUNCTION public.refuse_held_requests(uuid[]) FROM PUBLIC;

CREATE FUNCTION public.guard_held_request() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    -- The usual write, an answer or a new state, takes no word away: it ends here and locks nothing.
    PERFORM public.refuse_held_requests(ARRAY(
        SELECT DISTINCT w.account_id FROM was w JOIN fresh f ON f.id = w.id
         WHERE w.account_id IS NOT NULL
           AND ((w.cleaned_at IS NULL AND f.cleaned_at IS NOT NULL)
             OR (w.name IS NOT NULL AND f.name IS DISTINCT FROM w.name)
             OR (w.email IS NOT NULL AND f.email IS DISTINCT FROM w.email)
             OR (w.email_digest IS NOT NULL AND f.email_digest IS DISTINCT FROM w.email_digest)
             OR (w.details IS NOT NULL AND f.details IS DISTINCT FROM w.details)
             OR (w.facts IS NOT NULL AND f.facts IS DISTINCT FROM w.facts)
             OR (w.agent IS NOT NULL AND f.agent IS DISTINCT FROM w.agent)
             OR (w.permission_name IS NOT NULL AND f.permission_name IS DISTINCT FROM w.permission_name)
             OR (w.permission IS NOT NULL AND f.permission IS DISTINCT FROM w.permission)
             OR (w.extension_reason IS NOT NULL AND f.extension_reason IS DISTINCT FROM w.extension_reason)
             OR (w.decision IS NOT NULL AND f.decision IS DISTINCT FROM w.decision)
             OR f.purposes IS DISTINCT FROM w.purposes
             OR f.categories IS DISTINCT FROM w.categories)));
    RETURN NULL;
END $guard$;
CREATE TRIGGER z_guard_held_request AFTER UPDATE ON public.retention_privacyrequest
    REFERENCING OLD TABLE AS was NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_held_request();
ALTER TABLE public.retention_privacyrequest ENABLE ALWAYS TRIGGER z_guard_held_request;

CREATE FUNCTION public.guard_held_request_message() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM public.refuse_held_requests(
        ARRAY(SELECT DISTINCT g.account_id FROM gone g WHERE g.account_id IS NOT NULL));
    RETURN NULL;
END $guard$;
CREATE TRIGGER z_guard_held_request_message AFTER DELETE ON public.retention_requestmessage
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_held_request_message();
ALTER TABLE public.retention_requestmessage ENABLE ALWAYS TRIGGER z_guard_held_request_message;
