"""The laboratory: its options, its data, its networks, and what it writes."""

import json
import os
import re
import signal
import subprocess
import sys
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the lab needs fastact[lab]")
pytest.importorskip("rich", reason="the lab needs fastact[lab]")
pytest.importorskip("sklearn", reason="the lab needs fastact[lab]")

from threadpoolctl import threadpool_limits

import fastact
from fastact.lab import data, meanfield, propagation
from fastact.lab.choices import Activation, ChoiceError, Initialiser
from fastact.lab.cli import main
from fastact.lab.compare import Configuration, configurations, train
from fastact.lab.experiments import Settings
from fastact.lab.options import networks, parser
from fastact.lab.propagation_report import FACTOR


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread():
    """As in the command: a second one only waits, and on a busy machine for a long time."""
    with threadpool_limits(1, "blas"):
        yield


def chosen(*arguments):
    """The configurations that these arguments ask for."""
    asked = networks(parser().parse_args(["lab", *arguments]))
    return [one for values in asked for one in configurations(values)]


def test_one_value_each_is_one_network():
    words = "--depth 40 --activation tanh --init xavier --batch-norm --clip 1.0 --width 32"
    assert chosen(*words.split()) == [
        Configuration(40, 32, Activation("tanh"), Initialiser("xavier"), True, 1.0)
    ]


def test_several_values_are_combined():
    found = chosen("--activation", "relu", "tanh", "--init", "he", "xavier", "--clip", "none", "2")
    assert len(set(found)) == len(found) == 8
    assert {one.clip for one in found} == {None, 2.0}
    assert [one.batch_norm for one in chosen("--batch-norm", "off", "on")] == [False, True]


def test_each_run_changes_what_it_names():
    runs = ["--run", "activation=tanh clip=1", "--run", "batch_norm init=normal:0.02"]
    first, second = chosen("--depth", "7", "--init", "lecun", *runs)
    assert first == Configuration(7, 64, Activation("tanh"), Initialiser("lecun"), clip=1.0)
    assert second == Configuration(7, init=Initialiser("normal", 0.02), batch_norm=True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--activation", "rellu"], "there is no activation 'rellu': did you mean relu"),
        (["--activation", "relu:1"], "relu has the parameters none"),
        (["--activation", "leaky_relu:x"], "numbers are expected, got 'x'"),
        (["--init", "xaver"], "did you mean xavier"),
        (["--init", "he:0"], "the scale of he must be one positive number"),
        (["--clip", "0"], "must be positive, got 0"),
        (["--batch-norm", "yes"], "must be on or off, got yes"),
        (["--run", "activation=rellu"], "did you mean relu"),
        (["--run", "colour=red"], "unrecognized arguments: --colour red"),
        (["--propagation", "--clip", "1"], "trains nothing and takes no --clip"),
        (["--propagation", "--depth", "3", "4"], "takes one --depth"),
    ],
)
def test_what_is_wrong_is_said(arguments, says, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["lab", *arguments])
    assert stopped.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", [op.name for op in fastact.ops() if "log" not in op.name])
def test_every_activation_can_be_chosen(name):
    parameters = [parameter.default for parameter in Activation(name).parameters]
    x = np.linspace(-2, 2, 9)
    found = Activation.parse(f"{name}:{','.join(map(str, parameters))}".rstrip(":"))
    np.testing.assert_array_equal(found.function()(x), getattr(fastact, name)(x))


def test_parameters_of_an_activation_reach_the_kernels():
    x = np.array([-1.0, 1.0])
    leaky = Activation.parse("leaky_relu:0.25")
    np.testing.assert_array_equal(leaky.function()(x), [-0.25, 1])
    np.testing.assert_array_equal(leaky.function("derivative")(x), [0.25, 1])
    assert str(leaky) == "leaky_relu:0.25"
    with pytest.raises(ChoiceError, match="leaky_relu has the parameters negative_slope"):
        Activation.parse("leaky_relu:1,2")


@pytest.mark.parametrize(
    ("text", "std"),
    [
        ("he", np.sqrt(2 / 400)),
        ("he_uniform:0.5", np.sqrt(2 / 400) / 2),
        ("xavier", np.sqrt(2 / 500)),
        ("gain", np.sqrt(2 / 400)),  # of relu
        ("normal", 0.1),
        ("normal:0.02", 0.02),
    ],
)
def test_initialisers_have_their_spread(text, std):
    draw = Initialiser.parse(text).before(Activation("relu"))
    w = draw((400, 100), rng=np.random.default_rng(0), dtype=np.float32)
    assert w.dtype == np.float32
    assert w.std() == pytest.approx(std, rel=0.02)


# ---------------------------------------------------------------- data


@pytest.fixture
def table():
    """Two columns of different units that tell three classes apart."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    x = np.stack([labels + rng.normal(0, 0.1, 200), 1e4 * rng.normal(0, 1, 200)], axis=1)
    return x, labels


def as_csv(path, x, labels, header=""):
    lines = [header] * bool(header)
    lines += [
        ",".join([*(f"{value:.17g}" for value in row), str(y)])
        for row, y in zip(x, labels, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("header", ["", "length,width,kind"])
def test_csv(table, tmp_path, header):
    x, labels = table
    names = np.array(["ash", "beech", "cedar"])[labels]
    found = data.load(as_csv(tmp_path / "trees.csv", x, names, header), 0)
    assert found.name == "trees.csv" and found.classes == ("ash", "beech", "cedar")
    assert len(found.train_x) == 160 and len(found.test_x) == 40
    np.testing.assert_allclose(found.train_x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(found.train_x.std(axis=0), 1)
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(found.train_labels, labels[order[:160]])


def test_npz(table, tmp_path):
    x, labels = table
    file = tmp_path / "d.npz"
    np.savez(file, x=x, y=labels)
    usual = data.load(str(file), 3)
    np.savez(file, a=x, b=labels, c=labels)
    named = data.load(f"{file}:a,b", 3)
    np.testing.assert_array_equal(usual.train_x, named.train_x)
    np.testing.assert_array_equal(usual.test_labels, named.test_labels)


def test_images_are_normalised_as_a_whole(tmp_path):
    """A pixel that is nearly always black stays so, and is not blown up to variance 1."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 4, 4), dtype=np.uint8)
    images[:, 0, 0] = 0
    images[0, 0, 0] = 1
    np.savez(tmp_path / "i.npz", x=images, y=rng.integers(0, 2, 100))
    found = data.load(str(tmp_path / "i.npz"), 0)
    assert found.train_x.shape == (80, 16)
    assert found.train_x.mean() == pytest.approx(0, abs=1e-12)
    assert found.train_x.std() == pytest.approx(1)
    assert found.train_x[:, 0].std() < 0.01


def broken_files(path, x, labels):
    """Each a file's name, and what is said about it."""
    (path / "a.txt").write_text("1,2\n")
    yield "a.txt", "--data must be digits, FILE.npz or FILE.csv, not"
    as_csv(path / "table.csv", x, labels)
    yield "tabel.csv", f"did you mean {path / 'table.csv'}?"
    (path / "empty.csv").write_text("")
    yield "empty.csv", "has no rows"
    (path / "one.csv").write_text("1\n2\n")
    yield "one.csv", "has one column"
    (path / "ragged.csv").write_text("1,2,0\n3,1\n")
    yield "ragged.csv", "line 2: 2 columns where 3 are expected"
    (path / "text.csv").write_text("1,2,0\n3,red,1\n")
    yield "text.csv", "line 2, column 2: 'red' is no number"
    (path / "binary.csv").write_bytes(b"\xff\xfe\x00,1\n")
    yield "binary.csv", "cannot be read as CSV in UTF-8"
    as_csv(path / "nan.csv", np.where(x == x[4, 1], np.nan, x), labels)
    yield "nan.csv", "row 5, column 2 is nan"
    as_csv(path / "few.csv", x[:5], labels[:5])
    yield "few.csv", "has 5 rows; at least 20"
    as_csv(path / "same.csv", x, np.zeros(200, int))
    yield "same.csv", "all labels are 0"
    as_csv(path / "real.csv", x, x[:, 0])
    yield "real.csv", "200 different labels in 200 rows; is the label"
    (path / "no.npz").write_bytes(b"PK nothing")
    yield "no.npz", "cannot be read as .npz"
    np.savez(path / "names.npz", rows=x, kinds=labels)
    yield (
        "names.npz",
        f"name the rows and their labels, as in --data {path / 'names.npz'}:rows,kinds",
    )
    yield "names.npz:rows,kind", "has the arrays rows, kinds, not rows,kind"
    np.savez(path / "short.npz", x=x, y=labels[:-1])
    yield "short.npz", "their shapes are (200, 2) and (199,)"
    np.savez(path / "complex.npz", x=x + 1j, y=labels)
    yield "complex.npz", "the rows must be of real numbers, not complex128"


def test_bad_files_are_explained_and_nothing_is_written(table, tmp_path, capsys):
    out = tmp_path / "out"
    for name, says in broken_files(tmp_path, *table):
        assert main(["lab", "--data", str(tmp_path / name), "--out", str(out)]) == 2, name
        assert says in capsys.readouterr().err, name
        assert not out.exists()


# ---------------------------------------------------------------- theory


def test_relu_theory_is_exact():
    q = meanfield.forward(Activation("relu"), 3.0, [2.0, 1.0, 0.5])
    np.testing.assert_allclose(q, [3, 3, 1.5, 0.375], rtol=1e-6)
    g = meanfield.backward(Activation("relu"), q, [2.0, 2.0, 1.0, 0.5], 8.0)
    np.testing.assert_allclose(g, [1, 1, 1, 2], rtol=1e-6)


def test_erf_theory_is_williams():
    """E[erf(z)^2] for z ~ N(0, q) is 2/pi asin(2q / (1 + 2q)), from Williams 1998."""
    q = meanfield.forward(Activation("erf"), 0.7, [1.3, 2.1])
    for before, after, spread in zip(q, q[1:], [1.3, 2.1], strict=False):
        expected = spread * 2 / np.pi * np.arcsin(2 * before / (1 + 2 * before))
        assert after == pytest.approx(expected, rel=1e-12)


def test_wide_networks_do_as_theory_says():
    setup = propagation.Setup(depth=6, width=256, batch=8, draws=6)
    names = ("relu", "tanh", "sigmoid", "hardtanh", "leaky_relu:0.3")
    inits = [Initialiser.parse(name) for name in ("xavier", "he_uniform", "orthogonal", "gain")]
    found = propagation.survey([Activation.parse(name) for name in names], inits, setup)
    assert [one.activation for one in found[::4]] == list(names)
    assert max(one.miss for one in found) < FACTOR
    sigmoid = next(one for one in found if one.activation == "sigmoid" and one.init == "xavier")
    measured, predicted = sigmoid.gradient_factors
    assert measured == pytest.approx(predicted, rel=0.05) and 0.05 < measured < 0.06


def test_what_leaves_the_numbers_is_neither_hidden_nor_fatal():
    setup = propagation.Setup(depth=8, width=64, batch=2, draws=2)
    inits = [Initialiser("he")]
    exploding, dying = propagation.survey(
        [Activation("exp"), Activation("tanhshrink")], inits, setup
    )
    assert np.isnan(exploding.miss) and not np.isfinite(exploding.signal_factors[0])
    assert dying.signal_factors[0] < 0.4 and dying.gradient_factors[0] < 0.4


# ---------------------------------------------------------------- training and what is written


@pytest.mark.parametrize("name", ["tanh", "relu", "sigmoid"])
def test_the_first_signal_is_what_theory_says(name):
    configuration = Configuration(depth=10, activation=Activation(name), width=128)
    outcome = train(configuration, name, Settings(epochs=1), data.digits(0), lambda: None)
    ratio = outcome.predicted[0] / outcome.predicted[-1]
    assert outcome.ratio == pytest.approx(ratio, rel=0.6)  # one network, of 128 units
    assert len(outcome.signals) == 2 and len(outcome.signals[0]) == 11


def test_a_gradient_that_is_no_number_is_named():
    """Weights so large that the loss is a number and its gradient none: clipping says where."""
    huge = Configuration(depth=30, init=Initialiser("he", 25.0), clip=1.0)
    outcome = train(huge, "huge", Settings(epochs=2), data.digits(0), lambda: None)
    assert outcome.gradient == "explodes"
    assert outcome.ended
    assert np.isnan(outcome.accuracy)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What a small comparison leaves in its directory, run with warnings as errors."""
    out = tmp_path_factory.mktemp("lab") / "made" / "anew"
    runs = ["activation=sigmoid init=normal", "init=he:1.5", "init=he:1.5 clip=20"]
    runs += ["activation=sigmoid init=normal batch_norm"]
    arguments = [word for run in runs for word in ("--run", run)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["lab", "--depth", "20", "--epochs", "3", *arguments, "--out", str(out)]) == 0
    return out


def test_a_comparison_writes_three_files(written):
    names = ["comparison.html", "comparison.json", "comparison.png"]
    assert sorted(path.name for path in written.iterdir()) == names
    assert (written / "comparison.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    document = json.loads((written / "comparison.json").read_bytes())
    assert [run["gradient"] for run in document["runs"]] == [
        "vanishes", "explodes", "explodes", "healthy",
    ]  # fmt: skip
    sick, exploding, clipped, _ = document["runs"]
    assert "no number any more at step" in exploding["ended"] and exploding["losses"][-1] is None
    assert not clipped["ended"] and clipped["clipped"] > 0.5 and sick["ratio"] < 1e-12
    assert document["data"]["rows"] == [1437, 360]


class Page(HTMLParser):
    """What a page is made of, and what it asks the network for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.sources = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else(written):
    text = (written / "comparison.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.open
    assert page.tags.count("img") == 3 and page.tags.count("tr") == 5
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    assert "sigmoid, normal:0.1" in text and "--run" not in text


def test_the_page_says_how_to_make_each_run_again(written):
    text = (written / "comparison.html").read_text(encoding="utf-8")
    (commands,) = re.findall(r"<pre><code>(.*?)</code></pre>", text, re.DOTALL)
    words = commands.splitlines()[2].split()
    (again,) = chosen(*words[2 : words.index("--data")])
    assert again == Configuration(init=Initialiser("he", 1.5), clip=20.0)


def test_names_from_files_are_escaped(table, tmp_path, capsys):
    file = as_csv(tmp_path / "a&b<script>.csv", *table)
    out = tmp_path / "out"
    arguments = ["--depth", "1", "--epochs", "2", "--data", file, "--out", str(out)]
    assert main(["lab", *arguments]) == 0
    text = (out / "comparison.html").read_text(encoding="utf-8")
    assert "<script" not in text and "a&amp;b&lt;script&gt;.csv" in text


def test_propagation_writes_three_files(tmp_path, capsys):
    words = "--propagation --depth 5 --width 64 --activation relu tanh --init he xavier --out"
    assert main(["lab", *words.split(), str(tmp_path)]) == 0
    assert "agree within a factor 1.5" in " ".join(capsys.readouterr().out.split())
    names = ["propagation.html", "propagation.json", "propagation.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    cases = json.loads((tmp_path / "propagation.json").read_bytes())["cases"]
    assert [(case["activation"], case["init"]) for case in cases] == [
        ("relu", "he"), ("relu", "xavier"), ("tanh", "he"), ("tanh", "xavier"),
    ]  # fmt: skip
    assert len(cases[0]["gradient"]["measured"]) == 5
    assert Page((tmp_path / "propagation.html").read_text(encoding="utf-8")).tags.count("img") == 3


def test_functions_of_some_numbers_only_end_at_once_and_have_no_gain(tmp_path, capsys):
    words = "lab --depth 2 --epochs 1 --activation logit exp --init he --out"
    assert main([*words.split(), str(tmp_path)]) == 0
    runs = json.loads((tmp_path / "comparison.json").read_bytes())["runs"]
    assert "no number any more at step 1" in runs[0]["ended"] and runs[0]["accuracy"] is None
    assert main(["lab", "--activation", "logit", "--init", "gain", "--out", str(tmp_path)]) == 2
    assert "logit has no gain" in capsys.readouterr().err


def test_a_directory_that_cannot_be_made_is_explained(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    arguments = ["--depth", "1", "--epochs", "1", "--out", str(tmp_path / "taken")]
    assert main(["lab", *arguments]) == 2
    assert "--out chooses another directory" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_run_that_is_killed_leaves_no_half_written_file(tmp_path):
    """Killed while the new file is half written: the old one is there, whole."""
    path = tmp_path / "figures.json"
    path.write_bytes(b"old")
    program = (
        "import sys, time; from pathlib import Path; from fastact.lab.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'ne'); file.flush(); print('half', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_bytes() == b"old"
