//! `--model hf-hub:OWNER/NAME` with a cache that the test makes, and nobody to ask or a mirror of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use safetensors::SafeTensors;

use crate::hub_mirror::{Asked, COMMIT, Mirror, Reply, honest, listing, names};
use crate::{Run, golden, place, run};

/// A file's tensors, whatever its metadata say of where the network came from.
fn tensors(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).unwrap();
    let (header, _) = SafeTensors::read_metadata(&file).unwrap();
    file[8 + header..].to_vec()
}

/// Puts a golden network into a cache as the hub's own library lays it out: files under their hashes, a snapshot that
/// points to them, and a branch that names the snapshot.
fn cache(case: &str, id: &str, hub: &Path) {
    let model = hub.join(format!("models--{}", id.replace('/', "--")));
    let snapshot = model.join("snapshots").join(COMMIT);
    for folder in ["blobs", "refs"] {
        std::fs::create_dir_all(model.join(folder)).unwrap();
    }
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(model.join("refs/main"), COMMIT).unwrap();
    let files = std::fs::read_dir(golden(case)).unwrap().map(|entry| entry.unwrap().path());
    for (hash, file) in files.enumerate() {
        let blob = model.join(format!("blobs/{hash:040x}"));
        std::fs::copy(&file, &blob).unwrap();
        let pointer = snapshot.join(file.file_name().unwrap());
        #[cfg(unix)]
        std::os::unix::fs::symlink(Path::new("../../blobs").join(blob.file_name().unwrap()), pointer)
            .unwrap();
        #[cfg(not(unix))]
        std::fs::copy(&blob, pointer).unwrap();
    }
}

/// The command without what the machine's environment says of the hub.
fn command(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(place!("CARGO_BIN_EXE_tome"));
    let foreign = |name: &str| {
        ["CURL_", "HF_", "HUGGING", "REQUESTS_", "SSL_", "TRANSFORMERS_", "XDG_CACHE"]
            .iter()
            .any(|start| name.starts_with(start))
            || name.to_lowercase().ends_with("_proxy")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(foreign)) {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command
}

fn infer(model: &str, case: &str, output: &Path, environment: &[(&str, &str)]) -> Run {
    let input = golden(case).join("input.safetensors");
    let mut command = command(environment);
    command.args(["infer", "--model", model, "--device", "cpu", "--r", "4", "--input"]).arg(input);
    run(command.arg("--output").arg(output))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A small network.
const CASE: &str = "hf_clip_vision";

/// A cache that a mirror fills.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn hub(&self) -> PathBuf {
        self.folder.path().join("hub")
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn infer(&self, model: &str, mirror: &Mirror, more: &[(&str, &str)]) -> Run {
        let (hub, home) = (self.hub(), self.folder.path());
        let mine = [
            ("HF_ENDPOINT", mirror.endpoint.as_str()),
            ("HF_HUB_CACHE", text(&hub)),
            ("HF_HOME", text(home)),
        ];
        infer(&format!("hf-hub:{model}"), CASE, &self.output(), &[&mine, more].concat())
    }

    /// All files and links, by their paths.
    fn files(&self) -> Vec<String> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => {
                        let path = entry.path();
                        let path = path.strip_prefix(self.folder.path()).unwrap();
                        files.push(text(path).replace('\\', "/"));
                    }
                }
            }
        }
        files.sort();
        files
    }

    /// Nothing that a snapshot would count, and nothing outside of the model's folders.
    #[track_caller]
    fn holds_nothing(&self) {
        for file in self.files() {
            let own = file.starts_with("hub/models--me--net/") || file.starts_with("hub/.locks/");
            assert!(own && !file.contains("/snapshots/"), "{file}");
        }
    }
}

#[test]
fn a_cached_model_needs_no_network() {
    let home = tempfile::tempdir().unwrap();
    let hub = home.path().join("hub");
    let [home_text, hub_text] = [home.path(), &hub].map(|path| path.to_str().unwrap());
    // One file, and shards.
    for (case, id) in [("hf_clip_vision", "someone/tower"), ("hf_dinov2_swiglu_shards", "some-one/dino.v2")] {
        cache(case, id, &hub);
        let [there, here] = ["there", "here"].map(|name| home.path().join(name));
        infer(golden(case).to_str().unwrap(), case, &here, &[]).done();
        let here = tensors(&here);
        // Where nobody answers, nobody is asked.
        let nobody = ("HF_ENDPOINT", "http://127.0.0.1:9");
        for (name, environment) in [
            (format!("hf-hub:{id}"), [("HF_HUB_OFFLINE", "1"), ("HF_HOME", home_text)]),
            (format!("hf-hub:{id}"), [nobody, ("HF_HUB_CACHE", hub_text)]),
            (format!("hf-hub:{id}@main"), [nobody, ("HF_HOME", home_text)]),
            (format!("hf-hub:{id}@{COMMIT}"), [nobody, ("HF_HOME", home_text)]),
        ] {
            infer(&name, case, &there, &environment).done();
            assert!(tensors(&there) == here, "{name}");
        }
    }
}

#[test]
fn links_that_became_text_are_links_again() {
    let home = tempfile::tempdir().unwrap();
    cache(CASE, "me/net", home.path());
    let snapshot = home.path().join("models--me--net/snapshots").join(COMMIT);
    for file in std::fs::read_dir(&snapshot).unwrap().map(|entry| entry.unwrap().path()) {
        let content = std::fs::read(&file).unwrap();
        let blobs =
            std::fs::read_dir(snapshot.join("../../blobs")).unwrap().map(|entry| entry.unwrap().path());
        let blob = blobs.into_iter().find(|blob| std::fs::read(blob).unwrap() == content).unwrap();
        std::fs::remove_file(&file).unwrap();
        std::fs::write(file, format!("../../blobs/{}", blob.file_name().unwrap().display())).unwrap();
    }
    let offline = [("HF_HUB_CACHE", text(home.path())), ("HF_HUB_OFFLINE", "1")];
    infer("hf-hub:me/net", CASE, &home.path().join("out"), &offline).done();
    let weights = "model.safetensors";
    assert!(
        std::fs::read(snapshot.join(weights)).unwrap() == std::fs::read(golden(CASE).join(weights)).unwrap()
    );
}

#[test]
fn a_model_that_cannot_be_had_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let (hub, output) = (home.path().join("hub"), home.path().join("out"));
    let cached = ("HF_HUB_CACHE", hub.to_str().unwrap());
    cache("hf_dinov2_swiglu_shards", "someone/shards", &hub);
    let shard =
        hub.join("models--someone--shards/snapshots").join(COMMIT).join("model-00002-of-00003.safetensors");
    std::fs::remove_file(shard).unwrap();
    let case = "hf_clip_vision";
    // Absent, half there, or of another revision.
    for name in ["hf-hub:no/model", "hf-hub:someone/shards", "hf-hub:someone/shards@v2"] {
        let offline = infer(name, case, &output, &[cached, ("HF_HUB_OFFLINE", "true")]);
        offline.failed("HF_HUB_OFFLINE is set");
        let refused = infer(name, case, &output, &[cached, ("HF_ENDPOINT", "http://127.0.0.1:9")]);
        refused.failed("is not in the cache");
    }
    for name in ["hf-hub:", "hf-hub:a/b/c", "hf-hub:../b", "hf-hub:a/b@", "hf-hub:a/b@../c", "hf-hub:a b"] {
        infer(name, case, &output, &[cached]).failed("OWNER/NAME");
    }
    assert!(!output.exists());
}

#[test]
fn a_download_lies_where_the_hubs_own_library_looks() {
    let (place, mirror) = (Place::new(), Mirror::of(CASE));
    let here = place.folder.path().join("here");
    infer(text(&golden(CASE)), CASE, &here, &[]).done();
    place.infer("me/net", &mirror, &[]).done();
    assert!(tensors(&place.output()) == tensors(&here));

    let model = place.hub().join("models--me--net");
    assert_eq!(std::fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    for file in ["config.json", "preprocessor_config.json", "model.safetensors"] {
        let pointer = model.join("snapshots").join(COMMIT).join(file);
        assert!(std::fs::read(&pointer).unwrap() == std::fs::read(golden(CASE).join(file)).unwrap());
        #[cfg(unix)]
        {
            let at = names(CASE).iter().position(|name| name == file).unwrap();
            let link = std::fs::read_link(pointer).unwrap();
            assert_eq!(link, Path::new("../../blobs").join(format!("{at:064x}")));
        }
    }
    // Nothing is left over, and nobody is asked again, whoever says which commit.
    assert!(place.files().iter().all(|file| !file.contains(".tome-")), "{:?}", place.files());
    let asked = mirror.asked().len();
    for revision in ["", "@main", &format!("@{COMMIT}")] {
        place.infer(&format!("me/net{revision}"), &mirror, &[]).done();
    }
    assert_eq!(mirror.asked().len(), asked);

    // A pull request's revision has slashes; its commit is the same, so no file comes anew.
    place.infer("me/net@refs/pr/1", &mirror, &[]).done();
    assert_eq!(std::fs::read_to_string(model.join("refs/refs/pr/1")).unwrap(), COMMIT);
    assert_eq!(mirror.asked()[asked..].len(), 1);
    assert_eq!(mirror.asked()[asked].path, "/api/models/me/net/revision/refs%2Fpr%2F1");
}

#[test]
fn without_links_there_are_copies() {
    let (place, mirror) = (Place::new(), Mirror::of(CASE));
    place.infer("me/net", &mirror, &[("HF_HUB_DISABLE_SYMLINKS", "1")]).done();
    let pointer = place.hub().join("models--me--net/snapshots").join(COMMIT).join("config.json");
    assert!(std::fs::symlink_metadata(pointer).unwrap().is_file());
}

#[test]
fn shards_and_what_lies_beside_them_are_fetched() {
    let case = "hf_dinov2_swiglu_shards";
    let mirror = Mirror::start(move |asked| match asked.path.as_str() {
        path if path.ends_with("/labels.txt") => Reply::new(200, "a\nb\n"),
        path if path.ends_with("_clip_config.json") || path.ends_with("/processor_config.json") => {
            Reply::new(200, "{}")
        }
        path if path.starts_with("/api/") => {
            let more = ["labels.txt", "processor_config.json", "open_clip_config.json", "pytorch_model.bin"];
            listing(COMMIT, &[names(case), more.map(str::to_owned).to_vec()].concat())
        }
        _ => honest(case, asked),
    });
    let place = Place::new();
    // Whether the loader makes sense of them together is not asked here.
    place.infer("me/net", &mirror, &[]);
    let snapshot = place.hub().join("models--me--net/snapshots").join(COMMIT);
    let mut files: Vec<_> = std::fs::read_dir(snapshot)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let shards = [1, 2, 3].map(|shard| format!("model-0000{shard}-of-00003.safetensors"));
    let mut wanted = shards.to_vec();
    wanted.extend(
        ["config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json"]
            .map(str::to_owned),
    );
    wanted.extend(["labels.txt", "model.safetensors.index.json"].map(str::to_owned));
    wanted.sort();
    assert_eq!(files, wanted);
}

#[test]
fn weights_of_open_clip_are_fetched_where_there_are_no_others() {
    let (config, weights) = ("open_clip_config.json", "open_clip_model.safetensors");
    for (files, fetched) in
        [(vec![config, weights], true), (vec![config, weights, "model.safetensors"], false)]
    {
        let mirror = Mirror::start(move |asked| match asked.path.as_str() {
            path if path.starts_with("/api/") => listing(COMMIT, &files),
            path if path.ends_with(config) => Reply::new(200, "{}"),
            path if path.ends_with("model.safetensors") => {
                honest(CASE, &Asked { path: "/model.safetensors".into(), ..Asked::default() })
            }
            _ => honest(CASE, asked),
        });
        let place = Place::new();
        // What the loader makes of them is not asked here.
        place.infer("me/net", &mirror, &[]);
        let snapshot = place.hub().join("models--me--net/snapshots").join(COMMIT);
        assert!(snapshot.join(config).is_file());
        assert_eq!(snapshot.join(weights).is_file(), fetched);
        // A commit without config.json is known as such, as the hub's own library notes it.
        assert!(place.hub().join("models--me--net/.no_exist").join(COMMIT).join("config.json").is_file());
    }
}

#[test]
fn the_cache_is_where_the_variables_say() {
    let home = tempfile::tempdir().unwrap();
    let root = text(home.path());
    let at = |path: &str| format!("{root}/{path}");
    for (folder, environment) in [
        (".cache/huggingface/hub", vec![("HOME", root.to_owned())]),
        ("xdg/huggingface/hub", vec![("XDG_CACHE_HOME", at("xdg"))]),
        ("home/hub", vec![("HF_HOME", at("home")), ("XDG_CACHE_HOME", at("nowhere"))]),
        ("tilde/hub", vec![("HF_HOME", "~/tilde".into()), ("HOME", root.into())]),
        (
            "named/x/hub",
            vec![("HF_HOME", "$ROOT/named/${LEAF}".into()), ("ROOT", root.into()), ("LEAF", "x".into())],
        ),
        ("un$KNOWN/hub", vec![("HF_HOME", at("un$KNOWN"))]),
        ("old", vec![("HUGGINGFACE_HUB_CACHE", at("old")), ("HF_HOME", at("nowhere"))]),
        ("new", vec![("HF_HUB_CACHE", at("new")), ("HUGGINGFACE_HUB_CACHE", at("nowhere"))]),
        (
            "empty",
            vec![
                ("HF_HUB_CACHE", String::new()),
                ("HUGGINGFACE_HUB_CACHE", "~/empty".into()),
                ("HOME", root.into()),
            ],
        ),
    ] {
        // Only there is it to be found.
        let folder = home.path().join(folder);
        cache(CASE, "me/net", &folder);
        let mut given: Vec<(&str, &str)> =
            environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        given.push(("HF_HUB_OFFLINE", "yes"));
        #[cfg(windows)]
        given.extend(
            environment
                .iter()
                .filter(|(name, _)| *name == "HOME")
                .map(|(_, home)| ("USERPROFILE", home.as_str())),
        );
        infer("hf-hub:me/net", CASE, &home.path().join("out"), &given).done();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn offline_is_what_the_variables_say() {
    let (place, mirror) = (Place::new(), Mirror::of(CASE));
    for (variable, value) in
        [("HF_HUB_OFFLINE", "on"), ("TRANSFORMERS_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "True")]
    {
        let offline = [("HF_HUB_OFFLINE", ""), (variable, value)];
        place.infer("me/net", &mirror, &offline).failed(&format!("{variable} is set"));
    }
    assert!(mirror.asked().is_empty());
    // The first that says anything decides.
    place.infer("me/net", &mirror, &[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).done();
}

#[test]
fn a_token_is_told_to_the_endpoint_alone() {
    let place = Place::new();
    let home = place.folder.path();
    std::fs::write(home.join("token"), "of-home\n").unwrap();
    std::fs::write(home.join("moved"), " of-path ").unwrap();
    let moved = home.join("moved");
    let moved = ("HF_TOKEN_PATH", text(&moved));
    for (environment, token) in [
        (vec![], Some("Bearer of-home")),
        (vec![moved], Some("Bearer of-path")),
        (vec![moved, ("HUGGING_FACE_HUB_TOKEN", "old")], Some("Bearer old")),
        (vec![("HF_TOKEN", "new"), ("HUGGING_FACE_HUB_TOKEN", "old")], Some("Bearer new")),
        (vec![("HF_TOKEN", "new"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], None),
    ] {
        let other = Mirror::of(CASE);
        let elsewhere = other.endpoint.clone();
        // Weights lie elsewhere; configs on the same server, but somewhere else there.
        let mirror = Mirror::start(move |asked| match asked.path.as_str() {
            path if path.starts_with("/api/") || path.starts_with("/moved/") => honest(CASE, asked),
            path if path.ends_with(".json") => Reply::new(307, "").with("location", format!("/moved{path}")),
            path => Reply::new(302, "")
                .with("location", format!("{elsewhere}{path}"))
                .with("x-linked-etag", format!("\"{}\"", "e".repeat(64)))
                .with("x-repo-commit", COMMIT),
        });
        place.infer("me/net", &mirror, &environment).done();
        assert!(
            mirror.asked().iter().all(|asked| asked.authorization.as_deref() == token),
            "{environment:?}"
        );
        assert!(!other.asked().is_empty() && other.asked().iter().all(|asked| asked.authorization.is_none()));
        // What the hub said of the file before it sent the request on counts.
        assert!(place.hub().join("models--me--net/blobs").join("e".repeat(64)).is_file());
        std::fs::remove_dir_all(place.hub()).unwrap();
    }
    let none = Mirror::of(CASE);
    place.infer("me/net", &none, &[("HF_TOKEN", "a b")]).failed("the token in HF_TOKEN is none");
    assert!(none.asked().is_empty());
}

#[test]
fn what_the_hub_refuses_is_said_with_what_to_do() {
    let coded = |status, code: &str| (status, vec![("x-error-code", code.to_owned())]);
    for ((status, headers), token, words) in [
        (coded(401, "GatedRepo"), "", "is gated: ask for access on"),
        (coded(403, "GatedRepo"), "", "/me/net, then log in (`hf auth login`) or set HF_TOKEN"),
        (coded(403, "GatedRepo"), "t", "this token has no access"),
        (coded(401, "RepoNotFound"), "", "no model there, or a private one"),
        (coded(404, "RepoNotFound"), "t", "that this token may not read"),
        (coded(404, "RevisionNotFound"), "", "has no branch, tag or commit main"),
        (coded(401, ""), "t", "not valid there"),
        ((401, vec![]), "", "no model there, or a private one"),
        ((404, vec![]), "", "no model there, or a private one"),
        ((403, vec![("x-error-message", "Forbidden: pay first".into())]), "t", "Forbidden: pay first"),
        ((429, vec![("retry-after", "7".into())]), "", "too many requests): wait 7 seconds"),
        ((429, vec![]), "", "logs in or sets HF_TOKEN"),
        ((500, vec![]), "", "try again later"),
        ((503, vec![]), "", "answers 503"),
        ((418, vec![]), "", "answers 418"),
        ((302, vec![]), "", "sends the request on to nowhere"),
        ((302, vec![("location", "file:///etc/passwd".into())]), "", "no address"),
        ((302, vec![("location", "/api/models/again".into())]), "", "without end"),
        ((200, vec![]), "", "no description of a model"),
    ] {
        let place = Place::new();
        let mirror = Mirror::start(move |_| Reply {
            headers: headers.clone(),
            ..Reply::new(status, "<html>sign in</html>")
        });
        place.infer("me/net", &mirror, &[("HF_TOKEN", token)]).failed(words);
        place.holds_nothing();
    }
    // A gated repository's list of files is public.
    let mirror = Mirror::start(|asked| match asked.path.starts_with("/api/") {
        true => honest(CASE, asked),
        false => Reply::new(401, "").with("x-error-code", "GatedRepo"),
    });
    Place::new().infer("me/net", &mirror, &[]).failed("is gated");
    let place = Place::new();
    let nobody = Mirror::at("http://127.0.0.1:9");
    place.infer("me/net", &nobody, &[]).failed("127.0.0.1:9 cannot be reached");
    let certificates = place.folder.path().join("certificates");
    std::fs::write(&certificates, "no certificates").unwrap();
    let named = [("SSL_CERT_FILE", text(&certificates))];
    place.infer("me/net", &nobody, &named).failed("holds no certificates");
    place.infer("me/net", &nobody, &[("REQUESTS_CA_BUNDLE", "/nowhere")]).failed("/nowhere cannot be read");
    let nonsense = Mirror::at("hf-mirror.com");
    place.infer("me/net", &nonsense, &[]).failed("HF_ENDPOINT");
}

#[test]
fn a_repository_without_weights_is_told_by_what_it_has() {
    for (files, words) in [
        (vec!["pytorch_model.bin"], vec!["pytorch_model.bin", "torch.load", "@refs/pr/N"]),
        (vec!["weights/a.pth"], vec!["weights/a.pth", "torch.load"]),
        (vec!["x'; rm -rf ~.bin"], vec!["x\\'; rm -rf ~.bin"]),
        (vec!["adapter_model.safetensors", "adapter_config.json"], vec!["PEFT adapter", "merge"]),
        (vec!["vision/model.safetensors"], vec!["vision/model.safetensors", "--config"]),
        (vec!["onnx/model.onnx", "model.gguf"], vec!["onnx/model.onnx, model.gguf, which cannot be read"]),
        (vec!["README.md"], vec!["README.md"]),
        (vec!["\u{1b}[31mred"], vec!["\\u{1b}[31mred"]),
        (vec![], vec!["no files"]),
    ] {
        let place = Place::new();
        let mirror = Mirror::start(move |_| {
            listing(COMMIT, &[&files[..], &["config.json"][..files.len().min(1)]].concat())
        });
        let mut run = place.infer("me/net", &mirror, &[]);
        for word in words {
            run = run.failed(word);
        }
        run.failed("neither model.safetensors nor");
        place.holds_nothing();
    }
}

/// A mirror that is honest but for what `change` makes of its answers about files.
fn but(change: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static) -> Mirror {
    Mirror::start(move |asked| match asked.path.starts_with("/api/") {
        true => honest(CASE, asked),
        false => change(asked, honest(CASE, asked)),
    })
}

#[test]
fn a_mirror_writes_nowhere_but_into_the_cache() {
    let place = Place::new();
    let bashrc = place.folder.path().join("bashrc");
    std::fs::write(&bashrc, "mine").unwrap();
    let absolute = text(&bashrc).to_owned();
    // Etags that are no hashes name nothing; the model is had all the same.
    let long = "a".repeat(5000);
    for etag in ["../../../evil", absolute.as_str(), "", "a/b", "..", &long, &"A".repeat(40), "con", "a:b"] {
        let quoted = format!("W/\"{etag}\"");
        let mirror = but(move |_, reply| reply.but("etag", quoted.clone()));
        place.infer("me/net", &mirror, &[]).done();
        let outside: Vec<_> = place
            .files()
            .into_iter()
            .filter(|file| {
                !["hub/models--me--net/", "hub/.locks/", "out"].iter().any(|start| file.starts_with(start))
            })
            .collect();
        assert_eq!(outside, ["bashrc"], "{etag}");
        assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "mine");
        std::fs::remove_dir_all(place.hub()).unwrap();
    }
    // Commits that are none.
    for commit in [absolute.as_str(), "../../../x", "main", "", &"0".repeat(39), &"g".repeat(40)] {
        let commit = commit.to_owned();
        let mirror = Mirror::start(move |asked| match asked.path.starts_with("/api/") {
            true => listing(&commit, &names(CASE)),
            false => honest(CASE, asked),
        });
        place.infer("me/net", &mirror, &[]).failed("as the commit of main");
    }
    let mirror = but(|_, reply| reply.but("x-repo-commit", "../../../x"));
    place.infer("me/net", &mirror, &[]).failed("of another commit");
    // Files beside the config only.
    let outside = ["../../evil", "/etc/evil", "config.json", "..\\evil", "preprocessor_config.json/../../x"];
    let mirror = Mirror::start(move |asked| match asked.path.starts_with("/api/") {
        true => listing(COMMIT, &[&outside[..], &["model.safetensors"]].concat()),
        false => honest(CASE, asked),
    });
    place.infer("me/net", &mirror, &[]);
    assert!(place.files().iter().all(|file| !file.contains("evil")));
    for shard in ["../../../x", "/abs", "a\\b", "a b", ".hidden", ""] {
        let place = Place::new();
        let index = serde_json::json!({ "weight_map": { "a": shard } }).to_string();
        let mirror = Mirror::start(move |asked| match asked.path.as_str() {
            path if path.starts_with("/api/") => {
                listing(COMMIT, &["config.json", "model.safetensors.index.json"])
            }
            path if path.ends_with("index.json") => Reply::new(200, index.clone()),
            _ => honest(CASE, asked),
        });
        place.infer("me/net", &mirror, &[]).failed("which is no file beside it");
        assert!(mirror.asked().len() == 3);
    }
}

#[test]
fn only_whole_files_count() {
    let weights = |asked: &Asked| asked.path.ends_with("/model.safetensors");
    let place = Place::new();
    // A connection that breaks off: what is there stays, and the rest comes with the next request.
    let cut = but(move |asked, mut reply| {
        if weights(asked) && asked.range.is_none() {
            reply.length = Some(reply.body.len() as u64);
            reply.body.truncate(1000);
        }
        reply
    });
    place.infer("me/net", &cut, &[]).done();
    let ranges: Vec<_> = cut.asked().into_iter().filter_map(|asked| asked.range).collect();
    assert_eq!(ranges, ["bytes=1000-"]);

    let place = Place::new();
    let dead = but(move |asked, mut reply| {
        if weights(asked) {
            reply.length = Some(reply.body.len() as u64);
            reply.body.truncate(if asked.range.is_none() { 1000 } else { 0 });
        }
        reply
    });
    place.infer("me/net", &dead, &[]).failed("broke off at 1000 of");
    assert!(!place.files().iter().any(|file| file.ends_with("/model.safetensors")), "{:?}", place.files());
    place.infer("me/net", &Mirror::of(CASE), &[]).done();

    // A server that falls silent is not waited for without end.
    let silent = but(move |asked, mut reply| {
        if weights(asked) {
            reply.length = Some(reply.body.len() as u64);
            reply.body.truncate(1000 * usize::from(asked.range.is_none()));
            reply.silence = Duration::from_secs(20);
        }
        reply
    });
    let (place, begun) = (Place::new(), Instant::now());
    place.infer("me/net", &silent, &[("HF_HUB_DOWNLOAD_TIMEOUT", "1")]).failed("broke off at 1000 of");
    assert!(begun.elapsed() < Duration::from_secs(15));

    // Answers that lie about their length, have none, have no end, or are something else.
    type Change = fn(&mut Reply);
    let lies: [(&str, Change, &str); 7] = [
        ("model.safetensors", |reply| reply.headers.push(("x-linked-size", "9".into())), "of a file of 9"),
        ("model.safetensors", |reply| reply.length = Some(1 << 62), "of more than 50000000000 bytes"),
        ("model.safetensors", |reply| reply.endless = true, "of a length that the server does not say"),
        ("config.json", |reply| reply.endless = true, "config.json of more than 16777216 bytes"),
        ("config.json", |reply| reply.length = Some(1 << 30), "config.json of more than"),
        ("config.json", |reply| reply.body = "<html>sign in</html>".into(), "config.json is no JSON object"),
        ("model.safetensors", |reply| reply.body.truncate(5000), "model.safetensors: is truncated"),
    ];
    for (file, lie, words) in lies {
        let place = Place::new();
        let mirror = but(move |asked, mut reply| {
            if asked.path.ends_with(&format!("/{file}")) {
                lie(&mut reply);
            }
            reply
        });
        place.infer("me/net", &mirror, &[]).failed(words);
        let half = place.files().into_iter().find(|path| path.ends_with(&format!("/{file}")));
        assert_eq!(half, None, "{words}");
        // What remains of it does no harm.
        place.infer("me/net", &Mirror::of(CASE), &[]).done();
    }
}

#[test]
fn processes_at_once_do_no_harm() {
    let (place, mirror) = (Place::new(), Mirror::of(CASE));
    std::thread::scope(|scope| {
        for at in 0..4 {
            let (hub, mirror) = (place.hub(), &mirror);
            let output = place.folder.path().join(format!("out{at}"));
            scope.spawn(move || {
                let environment = [("HF_ENDPOINT", mirror.endpoint.as_str()), ("HF_HUB_CACHE", text(&hub))];
                infer("hf-hub:me/net", CASE, &output, &environment).done();
            });
        }
    });
    let weights = mirror.asked().into_iter().filter(|asked| asked.path.ends_with("/model.safetensors"));
    assert_eq!(weights.count(), 1);
}

#[test]
fn a_cache_that_cannot_be_written_is_an_error() {
    let (place, mirror) = (Place::new(), Mirror::of(CASE));
    std::fs::write(place.hub(), "a file").unwrap();
    place.infer("me/net", &mirror, &[]).failed("HF_HUB_CACHE names another folder");
    #[cfg(target_os = "linux")]
    {
        // A limit on a file's size stands for a full disk.
        let place = Place::new();
        let limited = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
        let shell = command(&[("HF_ENDPOINT", &mirror.endpoint), ("HF_HUB_CACHE", text(&place.hub()))]);
        let mut full = Command::new("sh");
        full.args(["-c", limited])
            .arg(shell.get_program())
            .envs(shell.get_envs().filter_map(|(k, v)| Some((k, v?))));
        for (name, _) in shell.get_envs().filter(|(_, value)| value.is_none()) {
            full.env_remove(name);
        }
        full.args(["infer", "--device", "cpu", "--model", "hf-hub:me/net", "--input"]);
        full.arg(golden(CASE).join("input.safetensors")).arg("--output").arg(place.output());
        run(&mut full).failed("HF_HUB_CACHE names another folder");
        assert!(!place.files().iter().any(|file| file.ends_with("/model.safetensors")));
    }
}
