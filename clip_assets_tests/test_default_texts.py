from clip_assets.default_texts import default_texts, kinetics400_classes
from clip_assets.demo import demo_sentences


def test_kinetics400_has_400_different_names_without_stray_space():
    names = kinetics400_classes()
    assert len(names) == len(set(names)) == 400
    assert all(name and name == name.strip() for name in names)


def test_kinetics400_names_are_in_label_order():
    names = kinetics400_classes()
    assert (names[0], names[209], names[399]) == ("abseiling", "passing American football (not in game)", "zumba")


def test_the_demo_model_s_default_texts_are_its_own_sentences():
    assert default_texts("demo") == demo_sentences()


def test_default_texts_put_each_class_into_the_template():
    texts = default_texts("ViT-B/32")
    assert texts[:2] == ("a photo of abseiling", "a photo of air drumming")
    assert len(texts) == 400
